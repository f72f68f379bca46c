"""The ledger as bytes: each link, each way to break one, and what the registry's pin adds."""

from __future__ import annotations

import hashlib

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.canonical import JsonObject
from tinypylm.errors import ProvenanceError
from tinypylm.provenance import ledger
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.ledger import START, Ledger

BODY = "cd" * 32
TIME = "2026-01-31T23:59:59Z"


def written(count: int, time: str = TIME) -> bytes:
    """A ledger of `count` lines, made by the formula and not by our code."""
    data, head = b"", START
    for seq in range(count):
        line = rfc8785.dumps({"seq": seq, "prev": head, "kind": "candidate", "name": f"m{seq}", "body": BODY,
                              "time": time})
        data, head = data + line + b"\n", hashlib.sha256(line).hexdigest()
    return data


def refused(data: bytes, pin: JsonObject | None = None) -> ProvenanceError:
    with pytest.raises(ProvenanceError) as raised:
        ledger.check_pin(ledger.read(data), pin or {})
    return raised.value


def pin_of(book: Ledger) -> JsonObject:
    return {"bytes": book.size_bytes, "entries": len(book.entries), "head": book.head}


def test_a_ledger_reads_back_and_goes_on_as_the_formula_says() -> None:
    book = ledger.read(written(3))
    assert [entry.name for entry in book.entries] == ["m0", "m1", "m2"]
    following = book.following("candidate", "m3", BODY, TIME)
    assert written(3) + following.line() + b"\n" == written(4)


def test_an_empty_ledger_has_64_zeros_as_its_head() -> None:
    assert ledger.read(b"") == Ledger((), 0, "0" * 64)


def test_a_torn_last_line_says_how_much_of_it_there_is() -> None:
    error = refused(written(2)[:-5])
    assert error.code is ProvenanceCode.LEDGER_TORN
    assert error.detail == {"whole_bytes": len(written(1)), "torn_bytes": len(written(2)) - len(written(1)) - 5}


@given(st.integers(0, len(written(4)) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_caught_by_chain_or_pin(at: int, mask: int) -> None:
    data = bytearray(written(4))
    data[at] ^= mask
    assert refused(bytes(data), pin_of(ledger.read(written(4)))).code in {
        ProvenanceCode.LEDGER_REJECTED, ProvenanceCode.LEDGER_TORN}


@given(st.permutations(range(5)).filter(lambda order: order != list(range(5))))
def test_reordered_lines_are_caught(order: list[int]) -> None:
    lines = written(5).splitlines(keepends=True)
    assert "has seq" in refused(b"".join(lines[index] for index in order)).message


def test_a_line_taken_out_and_numbers_mended_is_caught_by_its_link() -> None:
    lines = written(3).splitlines(keepends=True)
    assert "as the line before it" in refused(lines[0] + lines[2].replace(b'"seq":2', b'"seq":1')).message


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_ledger_that_was_cut_is_caught_by_the_pin_alone(count: int) -> None:
    ledger.read(written(count))
    error = refused(written(count), pin_of(ledger.read(written(4))))
    assert "the registry pins" in error.message


def test_a_ledger_that_was_restamped_as_a_whole_is_caught_by_the_pin_alone() -> None:
    restamped = written(4, "2026-01-31T23:59:58Z")
    assert len(restamped) == len(written(4))
    error = refused(restamped, pin_of(ledger.read(written(4))))
    assert error.detail == {"key": "head"}


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b'{"seq":0}', written(1)[:-1].replace(b"Z", b"+"), b"\xff",
                                  written(1)[:-1].replace(b"candidate", b"something")])
def test_a_line_that_is_none_is_refused_by_its_number(line: bytes) -> None:
    assert "line 1" in refused(line + b"\n").message


def test_a_ledger_over_the_cap_is_refused() -> None:
    assert "at most" in refused(b"\n" * (ledger.LEDGER_CAP_BYTES + 1)).message


def test_a_quarantine_takes_an_admission_out_of_force() -> None:
    book = ledger.read(b"")
    for kind in ("candidate", "evaluation", "promotion", "admission"):
        book = grown(book, kind)
    citations = [(kind, BODY) for kind in ("candidate", "evaluation", "promotion", "admission")]
    assert ledger.check_admission(book, "m", citations).seq == 3
    with pytest.raises(ProvenanceError, match="in force"):
        ledger.check_admission(grown(book, "quarantine"), "m", citations)
    with pytest.raises(ProvenanceError, match="in force"):
        ledger.check_admission(book, "other", citations)


def test_an_admission_needs_its_records_before_it_in_order() -> None:
    book = ledger.read(b"")
    for kind in ("evaluation", "candidate", "promotion", "admission"):
        book = grown(book, kind)
    citations = [(kind, BODY) for kind in ("candidate", "evaluation", "promotion", "admission")]
    with pytest.raises(ProvenanceError, match="does not have the evaluation"):
        ledger.check_admission(book, "m", citations)


def grown(book: Ledger, kind: str) -> Ledger:
    data = b"".join(entry.line() + b"\n" for entry in (*book.entries, book.following(kind, "m", BODY, TIME)))
    return ledger.read(data)
