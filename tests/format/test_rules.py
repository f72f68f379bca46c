"""Every rule of the format, each with the smallest file that breaks it and nothing before it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.format.broken_files import DIMENSION_OFFSETS, broken_files
from tests.format.costs import verdict
from tests.format.micro_model import BYTES, SPECIALS, THREE_TOKENS, edited, micro, micro_bpe, section, u32
from tinypylm.errors import FormatError
from tinypylm.format import FormatCode, checked_extent, parse, parse_header
from tinypylm.format.header import DIMENSION_CAPS, RawHeader

BROKEN = broken_files()


@pytest.mark.parametrize(("code", "data"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_file_gets_the_code_of_its_rule(code: FormatCode, data: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        parse(data)
    assert refused.value.code is code
    assert refused.value.detail.keys() == {"where", "found", "expected"}


def test_every_rule_has_a_file_that_breaks_it() -> None:
    assert {code for _, code, _ in BROKEN} == set(FormatCode)


def test_a_message_says_where_what_was_found_what_was_expected_and_what_to_try() -> None:
    data = next(data for what, _, data in BROKEN if what == "rows and columns swapped")
    with pytest.raises(FormatError) as refused:
        parse(data)
    assert refused.value.message == (
        "tok_embeddings, tensor entry 0 at byte 108: found shape (2, 259), expected shape (259, 2). "
        "Download the file again, or pack it again with `tinypylm pack`.")


def test_header_rules_are_found_in_the_first_108_bytes() -> None:
    """So a download can stop there."""
    before = list(FormatCode).index(FormatCode.FILE_SIZE_MISMATCH)
    for what, code, data in BROKEN:
        if list(FormatCode).index(code) >= before or what == "a last payload cut off":
            continue
        with pytest.raises(FormatError) as refused:
            parse_header(data[:108])
        assert refused.value.code is code, what


@pytest.mark.parametrize("name", DIMENSION_CAPS)
def test_a_dimension_over_its_cap_is_refused_as_such_and_the_cap_itself_is_not(name: str) -> None:
    for value, over in ((DIMENSION_CAPS[name], False), (DIMENSION_CAPS[name] + 1, True)):
        found = verdict(edited(micro(), (DIMENSION_OFFSETS[name], u32(value))))
        assert (found is FormatCode.DIMENSION_OVER_CAP) == over


def test_a_token_of_4096_bytes_is_allowed() -> None:
    tokens = [*BYTES, *SPECIALS, *THREE_TOKENS[:2], (0, b"t" * 4096)]
    assert len(parse(micro_bpe(section(tokens, []))).tokenizer.tokens[261]) == 4096


def test_metadata_of_65536_bytes_are_allowed() -> None:
    text = b'{"name":"' + b"x" * 65_525 + b'"}'
    assert parse(micro(metadata=text)).metadata == {"name": "x" * 65_525}


@pytest.mark.parametrize(
    ("offset", "count", "unit"), [(0, 2**63, 2**63), (65, 0, 1), (0, 65, 1), (-1, 1, 1), (64, 1, 1)])
def test_an_extent_past_its_limit_is_refused_without_overflow(offset: int, count: int, unit: int) -> None:
    with pytest.raises(FormatError) as refused:
        checked_extent(offset, count, unit, 64)
    assert refused.value.code is FormatCode.EXTENT_OUT_OF_FILE


def test_an_extent_may_end_at_its_limit() -> None:
    assert checked_extent(32, 4, 8, 64) == 64


def test_the_format_document_explains_every_code_field_and_cap(repo_root: Path) -> None:
    text = (repo_root / "docs" / "format.md").read_text()
    assert re.findall(r"^\| `([A-Z]\w+)` \|", text, re.MULTILINE) == [str(code) for code in FormatCode]
    for field in RawHeader._fields:
        assert re.search(rf"^\| \d+ \| [^|]+ \| {field} \|", text, re.MULTILINE), field
    for name, cap in DIMENSION_CAPS.items():
        assert f"| {name} | {cap:,} |" in text
