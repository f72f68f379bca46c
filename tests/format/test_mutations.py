"""Files that are almost valid: only FormatError escapes, costs stay bounded, and no model has a second spelling."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from tests.format.costs import checked_verdict, verdict
from tests.format.micro_model import TABLE, edited, micro, micro_bpe, section
from tests.format.mutations import BASES, METADATA, mutated_files, reseal_deeply
from tinypylm.format import FormatCode, Model, parse_header

DESCRIBED = micro(metadata=METADATA)
BPE = micro_bpe(section())


def test_every_base_is_a_model_and_sealed() -> None:
    for base in BASES:
        assert isinstance(checked_verdict(base), Model)
        again = bytearray(base)
        reseal_deeply(again)
        assert again == base


@settings(max_examples=300)
@given(mutated_files())
def test_a_mutated_file_gets_a_verdict(file: bytes) -> None:
    checked_verdict(file)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(mutated_files())
def test_ten_thousand_mutated_files_get_a_verdict(file: bytes) -> None:
    checked_verdict(file)


@pytest.mark.slow
def test_mutations_reach_most_rules() -> None:
    """Else the test above would say little."""
    seen: Counter[str] = Counter()

    @settings(max_examples=5_000, database=None, derandomize=True)
    @given(mutated_files())
    def look(file: bytes) -> None:
        found = verdict(file)
        seen["accepted" if isinstance(found, Model) else found] += 1

    look()
    assert seen["accepted"] > 100
    assert len(seen) >= 50


@pytest.mark.parametrize("file", [DESCRIBED, BPE], ids=["metadata", "bpe"])
def test_truncation_at_every_length_is_refused_although_size_and_checksum_fit(file: bytes) -> None:
    for length in range(len(file)):
        cut = bytearray(file[:length])
        if length >= TABLE:
            reseal_deeply(cut)
        assert isinstance(verdict(bytes(cut)), FormatCode)


def test_every_flipped_bit_is_refused() -> None:
    file = bytearray(micro())
    for bit in range(8 * len(file)):
        file[bit // 8] ^= 1 << bit % 8
        assert isinstance(verdict(bytes(file)), FormatCode)
        file[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("file", [DESCRIBED, BPE], ids=["metadata", "bpe"])
def test_every_flipped_bit_of_a_header_under_a_right_checksum_gets_a_verdict(file: bytes) -> None:
    for bit in range(8 * TABLE):
        checked_verdict(_with_flipped_bit(file, bit))


@pytest.mark.slow
@pytest.mark.parametrize("file", [DESCRIBED, BPE], ids=["metadata", "bpe"])
def test_every_flipped_bit_before_the_payloads_under_a_right_checksum_gets_a_verdict(file: bytes) -> None:
    for bit in range(8 * TABLE, 8 * parse_header(file).payload_offset):
        verdict(_with_flipped_bit(file, bit))


def _with_flipped_bit(file: bytes, bit: int) -> bytes:
    return edited(file, (bit // 8, bytes([file[bit // 8] ^ 1 << bit % 8])))
