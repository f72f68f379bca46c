"""What a refusal or a model costs, for files that hold the most of something."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.format.costs import MIB, MOST_SECONDS, peak_memory, processor_seconds, verdict
from tests.format.heavy_files import HEAVY, LAYER_CAP, TOKEN_CAP, runs_of_a
from tests.format.micro_model import WIDE, edited, micro, u32
from tinypylm.app import App
from tinypylm.errors import FormatError
from tinypylm.format import FormatCode, Model, parse, parse_header
from tinypylm.format.header import DIMENSION_CAPS, HEADER, HEADER_BYTES, RawHeader
from tinypylm.hosts import Instance
from tinypylm.memory import ENGINE_MEMORY_BUDGET_BYTES, PAGE_BYTES, plan_memory
from tinypylm.session import Session
from tinypylm.tokenizer import Tokenizer

SLOW_TO_TRACE = {
    "both caps of the vocabulary", "most merges", "most tokens", "equal tokens", "longest tokens"}
LARGEST = edited(micro(replace(WIDE, ffn_size=1, n_layers=8)), (48, u32(131_072)))
"""A whole file whose KV cache alone would take the budget."""


class NoHost:
    """A host that fails the test when it is asked for memory."""

    name = "none"
    threads = 1

    def instantiate(self, module: bytes, pages: int) -> Instance:
        raise AssertionError(f"{pages} pages asked for")


@pytest.fixture(scope="module")
def heavy() -> dict[str, bytes]:
    return {name: make() for name, make in HEAVY.items()}


@pytest.mark.parametrize("name", HEAVY)
def test_a_verdict_takes_less_than_a_second(heavy: dict[str, bytes], name: str) -> None:
    assert processor_seconds(lambda: verdict(heavy[name])) < MOST_SECONDS


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW_TO_TRACE else ()) for name in HEAVY])
def test_a_verdict_takes_less_memory_than_twice_the_file_and_a_mebibyte(heavy: dict[str, bytes], name: str) -> None:
    file = heavy[name]
    assert peak_memory(lambda: verdict(file)) < 2 * len(file) + MIB


def test_a_tokenizer_fits_beside_its_vocabulary_in_the_same_bound() -> None:
    """Fewer merges than the cap, because tracing is slow; a dict of these alone would take 9 MB."""
    file = runs_of_a(32_768)
    assert peak_memory(lambda: Tokenizer.of(parse(file))) < 2 * len(file) + MIB


def test_a_file_at_both_caps_is_a_model_whose_tokenizer_works(heavy: dict[str, bytes]) -> None:
    model = parse(heavy["both caps of the vocabulary"])
    assert (len(model.tokenizer.tokens), len(model.tokenizer.merges)) == (TOKEN_CAP, 3 * 262_144)
    text = "aaaa \U0001f600 b" + "a" * 700
    tokenizer = Tokenizer.of(model)
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode()


def test_a_file_with_the_most_tensors_is_a_model(heavy: dict[str, bytes]) -> None:
    assert len(parse(heavy["most tensors"]).tensors) == 16 * LAYER_CAP + 4


FIELDS = st.sampled_from([0, 1, 2, 64, 259, *DIMENSION_CAPS.values(), 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@given(st.lists(FIELDS, min_size=24, max_size=24), st.sampled_from([1, 2]), st.sampled_from([0, 1, 2]))
def test_no_header_costs_more_than_a_mebibyte(fields: list[int], family: int, quantization: int) -> None:
    start = struct.pack("<4sHHII", b"SLM1", 1, HEADER_BYTES, family, quantization)
    header = (start + struct.pack("<24I", *fields))[:HEADER_BYTES]
    assert peak_memory(lambda: header_verdict(header)) < MIB


@pytest.mark.parametrize("family", [1, 2])
def test_the_header_that_implies_the_most_tensors_costs_less_than_a_mebibyte(family: int) -> None:
    """All dimensions at their caps, so that every check before the memory plan is passed."""
    raw = RawHeader(
        b"SLM1", 1, HEADER_BYTES, family, 2, 0, 131_072, 8_192, 256, 256, 256, 32, 65_536, 131_072, 32, 1e4, 1e-5,
        0xFFFF_FFFF, 0xFFFF_FFFF, 16 * 256 + 4 if family == 2 else 9 * 256 + 3, HEADER_BYTES, 0, 1, 0, 0, 0, 0, 1)
    table_end = -(-(HEADER_BYTES + 64 * raw.tensor_count) // 64) * 64
    raw = raw._replace(tokenizer_offset=table_end, metadata_offset=table_end + 64, payload_offset=table_end + 64,
                       file_bytes=33_554_432)
    header = HEADER.pack(*raw)
    assert header_verdict(header) is FormatCode.MEMORY_OVER_BUDGET
    assert peak_memory(lambda: header_verdict(header)) < MIB


def header_verdict(header: bytes) -> FormatCode | None:
    try:
        parse_header(header)
    except FormatError as error:
        return FormatCode(error.code)
    return None


def test_a_model_over_the_memory_budget_is_refused_before_any_is_allocated() -> None:
    session = Session(NoHost())

    def load() -> None:
        with pytest.raises(FormatError) as refused:
            session.load(LARGEST)
        assert refused.value.code is FormatCode.MEMORY_OVER_BUDGET

    assert peak_memory(load) < MIB


def test_a_header_over_the_memory_budget_is_refused_at_the_door_of_the_worker() -> None:
    app = App(NoHost(), lambda *token: None, lambda: False)

    def ask() -> None:
        for method in ("inspect", "load"):
            answer = json.loads(app.request(method, "{}", LARGEST[:HEADER_BYTES]))
            assert answer["error"]["code"] == "MemoryOverBudget"

    assert peak_memory(ask) < MIB


def test_the_longest_context_that_is_accepted_is_the_longest_that_fits_the_budget() -> None:
    wide = micro(replace(WIDE, ffn_size=1, n_layers=16))
    accepted, refused = 1, 131_073
    while refused - accepted > 1:
        middle = (accepted + refused) // 2
        fits = isinstance(verdict(edited(wide, (48, u32(middle)))), Model)
        accepted, refused = (middle, refused) if fits else (accepted, middle)
    needs = [plan_memory(replace(parse(wide).config, context_length=context), len(wide)).total_bytes
             for context in (accepted, refused)]
    assert needs[0] <= ENGINE_MEMORY_BUDGET_BYTES < needs[1]
    assert needs[1] - needs[0] < 4 * PAGE_BYTES
