"""Products of bytes change no bit, and a module goes only to a host that wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import pytest
import wasmtime

from tests.engine.models import config, parsed, random_file, stepped_and_chunked
from tinypylm.config import DType, Family
from tinypylm.derived import Derived
from tinypylm.engine import Emitted, Engine
from tinypylm.hosts.native import NativeHost
from tinypylm.hosts.probe import has_fast_byte_dots

IDS = np.random.default_rng(5).integers(0, 259, 29).tolist()
SHAPES = {
    "llama": {"n_heads": 6, "n_kv_heads": 2, "head_dim": 32, "ffn_size": 1376},
    "gpt-neox": {"family": Family.GPT_NEOX, "n_kv_heads": 4},
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_q4_0_model_has_the_same_bits_either_way(shape: str, threads: int) -> None:
    data = random_file(config(quantization=DType.Q4_0, **SHAPES[shape]))
    of_pairs, _ = stepped_and_chunked(data, NativeHost(), IDS)
    for chunk in (5, 13, 16):  # whole groups of tokens, and a rest
        of_bytes, chunked = stepped_and_chunked(data, NativeHost(threads, byte_dots=True), IDS, chunk)
        np.testing.assert_array_equal(of_bytes, of_pairs)
        assert chunked == of_pairs[-1].tobytes()


@pytest.mark.parametrize(("dtype", "byte_dots", "dot_products"), [
    (DType.Q4_0, True, "i8"), (DType.Q4_0, False, "i16"), (DType.Q8_0, True, "i16"), (DType.F32, True, "f32")])
def test_an_engine_says_what_it_multiplies(dtype: DType, byte_dots: bool, dot_products: str) -> None:
    data = random_file(config(quantization=dtype))
    engine = Engine.load(parsed(data), data, NativeHost(byte_dots=byte_dots))
    assert engine.dot_products == dot_products
    assert engine.emitted_anew().byte_dots == (dot_products == "i8")


@pytest.mark.parametrize("byte_dots", [False, True])
def test_a_module_that_was_emitted_for_another_kind_of_host_is_not_used(byte_dots: bool) -> None:
    data = random_file(config(quantization=DType.Q4_0))
    host, model = NativeHost(byte_dots=byte_dots), parsed(data)
    own = Engine.load(model, data, host).emitted_anew()
    other = Engine.load(model, data, NativeHost(byte_dots=not byte_dots)).emitted_anew()
    assert own.code != other.code
    assert Engine.load(model, data, host, emitted=other).module_bytes == len(own.code)
    assert Engine.load(model, data, host, emitted=Emitted(own.code, byte_dots)).module_bytes == len(own.code)


@pytest.mark.parametrize("byte_dots", [False, True])
def test_what_is_kept_of_a_module_says_whom_it_is_for(byte_dots: bool) -> None:
    derived = Derived("0" * 64, Emitted(b"code", byte_dots))
    assert Derived.from_json(json.loads(json.dumps(derived.to_json()))) == derived


class Timed(NativeHost):
    """A host on which a kernel takes so many seconds, by its name."""

    def __init__(self, seconds: dict[str, float]):
        super().__init__()
        self.seconds = seconds

    def instantiate(self, module: bytes, pages: int) -> Timed:  # type: ignore[override]
        super().instantiate(module, pages).free()
        return self

    def export(self, name: str) -> Callable[..., None]:
        return lambda *_: time.sleep(self.seconds[name])

    def free(self) -> None:
        pass


@pytest.mark.parametrize(("of_bytes", "of_pairs", "fast"), [
    (0.01, 0.03, True), (0.03, 0.03, False), (0.03, 0.01, False)])
def test_products_of_bytes_are_taken_where_they_are_faster(of_bytes: float, of_pairs: float, fast: bool) -> None:
    assert has_fast_byte_dots(Timed({"of_bytes": of_bytes, "of_pairs": of_pairs})) is fast


def test_a_host_without_relaxed_simd_has_no_products_of_bytes() -> None:
    settings = wasmtime.Config()
    settings.wasm_relaxed_simd = False
    host = Timed({"of_bytes": 0.01, "of_pairs": 0.03})
    assert has_fast_byte_dots(host) is True
    host._engine = wasmtime.Engine(settings)
    assert has_fast_byte_dots(host) is False
