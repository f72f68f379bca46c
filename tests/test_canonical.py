"""Canonical JSON: one value, one text."""

from __future__ import annotations

import re

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.canonical import MAX_INTEGER, JsonValue, dumps, loads
from tinypylm.errors import CanonicalError, ErrorCode

KEYS = st.text("abcxyz_019", min_size=1)
LEAVES = st.text() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


@given(VALUES)
def test_the_text_is_that_of_rfc_8785_and_reads_back(value: JsonValue) -> None:
    assert dumps(value) == rfc8785.dumps(value)
    assert loads(dumps(value)) == value


def test_a_value_has_exactly_this_text() -> None:
    value: JsonValue = {"b": [True, -1, "é\x1f\n\"\\/\u2028"], "a": {}}
    assert dumps(value) == '{"a":{},"b":[true,-1,"é\\u001f\\n\\"\\\\/\u2028"]}'.encode()


@pytest.mark.parametrize(("text", "reason"), [
    (b'{"a":1,"a":1}', "the key 'a' twice"),
    (b'{"b":1,"a":1}', "not the canonical text"),
    (b'{"a": 1}', "not the canonical text"),
    (b'"\\u0041"', "not the canonical text"),
    (b"-0", "not the canonical text"),
    (b'{"A":1}', "the key 'A'"),
    (b'{"":1}', "the key ''"),
    (b"1.0", "the number 1.0"),
    (b"1e3", "the number 1e3"),
    (b"NaN", "the number NaN"),
    (b"null", "null;"),
    (b"9007199254740992", "an integer beyond 2^53 - 1"),
    (b"9" * 5000, "an integer beyond 2^53 - 1"),
    (b"\xef\xbb\xbf1", "not JSON at character 0"),
    (b'"\xff"', "not UTF-8 at byte 1"),
    (b'"\\ud800"', "the lone surrogate U+D800"),
    (b"", "not JSON at character 0"),
    (b"1 2", "not JSON at character 2"),
    (b"[" * 17 + b"]" * 17, "more than 16 levels deep"),
    (b"[" * 60_000, "more than 16 levels deep"),
])
def test_any_other_text_is_refused_with_its_reason(text: bytes, reason: str) -> None:
    with pytest.raises(CanonicalError, match=re.escape(reason)) as refused:
        loads(text)
    assert refused.value.code is ErrorCode.NOT_CANONICAL


def test_sixteen_levels_are_read_and_written() -> None:
    text = b"[" * 16 + b"]" * 16
    assert dumps(loads(text)) == text


def test_brackets_inside_strings_are_not_levels() -> None:
    text = b'["' + b'[' * 40 + b'\\"{"]'
    assert dumps(loads(text)) == text


@pytest.mark.parametrize("value", [1.5, None, {"a": object()}, {1: "x"}, [[1.0]], MAX_INTEGER + 1, b"bytes"])
def test_values_outside_the_profile_have_no_text(value: JsonValue) -> None:
    with pytest.raises(CanonicalError):
        dumps(value)


def test_a_writer_that_nests_too_deep_is_stopped() -> None:
    value: JsonValue = 1
    for _ in range(17):
        value = [value]
    with pytest.raises(CanonicalError, match="16 levels"):
        dumps(value)


@given(st.binary(max_size=40))
def test_no_bytes_crash_the_loader(text: bytes) -> None:
    try:
        value = loads(text)
    except CanonicalError:
        return
    assert dumps(value) == text
