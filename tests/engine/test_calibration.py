"""The limit that a machine sets, as the benchmark states it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.models import HOST, config, loaded, random_file
from tinypylm.calibration import kernel_rate, macs_per_token, network_rates
from tinypylm.config import DType
from tinypylm.errors import ErrorCode, SessionError
from tinypylm.format import parse
from tinypylm.hosts.native import NativeHost, NativeInstance


def test_the_work_of_a_token_is_that_of_its_matrices(repo_root: Path) -> None:
    storyteller = parse((repo_root / "models" / "storyteller-2m-q8_0.slm").read_bytes()).config
    per_layer = 2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192
    assert macs_per_token(storyteller) == 4 * per_layer + 2048 * 192


def test_an_untied_embedding_table_is_looked_up_not_multiplied() -> None:
    tied, untied = (macs_per_token(config(tied_embeddings=tied)) for tied in (True, False))
    assert tied == untied


@pytest.mark.parametrize("dtype", list(DType))
def test_a_rate_is_a_possible_one(dtype: DType) -> None:
    assert 1e7 < kernel_rate(HOST, dtype, seconds=0.05) < 1e12


class Noting(NativeHost):
    """Keeps the modules that it is given."""

    def __init__(self, byte_dots: bool):
        super().__init__(byte_dots=byte_dots)
        self.modules: list[bytes] = []

    def alone(self) -> NativeHost:
        return self

    def instantiate(self, module: bytes, pages: int) -> NativeInstance:
        self.modules.append(module)
        return super().instantiate(module, pages)


@pytest.mark.parametrize(("dtype", "byte_dots"), [(DType.Q4_0, True), (DType.Q4_0, False), (DType.Q8_0, True)])
def test_products_of_bytes_are_among_the_variants_where_they_can_be(dtype: DType, byte_dots: bool) -> None:
    host = Noting(byte_dots)
    assert 1e7 < kernel_rate(host, dtype, seconds=0.05) < 1e12
    (module,) = host.modules
    assert b"rows_4" in module
    assert (b"rows_4_bytes" in module) == (dtype is DType.Q4_0 and byte_dots)


def test_the_rate_is_one_thread_s_where_the_host_has_more() -> None:
    assert 1e7 < kernel_rate(NativeHost(threads=2), DType.Q8_0, seconds=0.05) < 1e12


def test_the_network_alone_has_rates_of_prompts_and_of_tokens_and_leaves_no_context() -> None:
    engine = loaded(random_file(config()))
    engine.step(5, 0)
    prompt, single = network_rates(engine, prompt_tokens=37, tokens=40)
    assert single > 0
    assert prompt > 0
    assert not any(engine.instance.read(engine.plan.regions["seen"].address, engine.config.vocab_size))


def test_more_tokens_than_the_context_holds_have_no_rate() -> None:
    engine = loaded(random_file(config()))
    with pytest.raises(SessionError) as raised:
        network_rates(engine, prompt_tokens=16, tokens=41)
    assert raised.value.code is ErrorCode.CONTEXT_EXCEEDED
