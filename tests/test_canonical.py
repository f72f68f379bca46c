"""Canonical JSON: one value, one text."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from contextlib import suppress

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS
from tinypylm.canonical import MAX_INTEGER, JsonValue, check, dumps, loads
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
    (b'{"a":1,"a":1}', "the key 'a' twice in one object, at byte 7"),
    (b'{"b":1,"a":1}', "the key 'a' out of order behind 'b', at byte 7"),
    (b'{"a": 1}', "white space between values, at byte 5"),
    (b'{"a" :1}', "no key of a-z 0-9 _ with a colon behind it, at byte 1"),
    (b'{"a":1}\n', "something behind the value, at byte 7"),
    (b'"\\u0041"', "a string with an escape it does not need"),
    (b'"\\u001F"', "a string with an escape it does not need"),
    (b'"\\u000a"', "a string with an escape it does not need"),
    (b'"\\/"', "a string with an escape it does not need"),
    (b'"\n"', "a string with an escape it does not need, a control character"),
    (b'"\\"', "a string with an escape it does not need, a control character, or no end"),
    (b"-0", "a number that is not an integer in its shortest form, at byte 0: '-0'"),
    (b"[01]", "a number that is not an integer in its shortest form, at byte 1"),
    (b'{"A":1}', "no key of a-z 0-9 _ with a colon behind it, at byte 1"),
    (b'{"":1}', "no key of a-z 0-9 _ with a colon behind it, at byte 1"),
    (b'{1:1}', "a number"),
    (b"1.0", "a number that is not an integer in its shortest form"),
    (b"1e3", "a number that is not an integer in its shortest form"),
    (b"NaN", "a number that is not an integer"),
    (b"null", "null, which has no place in the profile"),
    (b"tru", "not JSON, at byte 0: 'tru'"),
    (b"9007199254740992", "an integer beyond 2^53 - 1"),
    (b"-9007199254740992", "an integer beyond 2^53 - 1"),
    (b"9" * 5000, "an integer beyond 2^53 - 1"),
    (b"\xef\xbb\xbf1", "not JSON, at byte 0"),
    (b'"\xff"', "not UTF-8 at byte 1"),
    (b'"\\ud800"', "a string with an escape it does not need"),
    (b"", "the text ends too early, at byte 0"),
    (b"1 2", "something behind the value, at byte 1"),
    (b"[1 2]", "white space between values, at byte 2"),
    (b'[1"a"]', "no comma and no end of the object or array, at byte 2"),
    (b"[1,]", "not JSON, at byte 3: ']'"),
    (b'{"a":1,}', "no key of a-z 0-9 _ with a colon behind it, at byte 7"),
    (b"[" * 17 + b"]" * 17, "more than 16 levels deep, at byte 16"),
    (b"[" * 60_000, "more than 16 levels deep, at byte 16"),
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


@given(st.binary(max_size=40) | VALUES.map(json.dumps).map(str.encode) | VALUES.map(dumps))
@example(b'"\\ud83d\\ude00"')
@example(b'["\x7f"]')
def test_a_text_is_read_exactly_where_an_independent_writer_writes_it_again(text: bytes) -> None:
    """The standard library reads leniently, rfc8785 writes."""
    TARGETS["canonical"](text)


LARGE_BYTES = 65_536
LARGE = {
    "a string": b'"' + b"a" * 65_530 + b'"',
    "escapes": b'"' + b'\\"' * 32_700 + b'"',
    "escapes without an end": b'"' + b'\\"' * 32_767,
    "backslashes": b'"' + b"\\" * 65_535,
    "quotes": b'"' * 65_536,
    "digits": b"9" * 65_536,
    "open brackets": b"[" * 65_536,
    "lists": b"[" + b",".join([b"[]"] * 21_840) + b"]",
    "characters of four bytes": b'"' + "\U0001f600".encode() * 16_383 + b'"',
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_checking_takes_linear_time_and_no_memory_beyond_the_decoded_text(text: bytes) -> None:
    started = time.perf_counter()
    tracemalloc.start()
    with suppress(CanonicalError):
        check(text)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - started < 1
    assert peak_bytes < 6 * LARGE_BYTES  # a decoder takes four bytes a character, and one more copy


def test_objects_and_arrays_are_counted_outside_strings() -> None:
    assert check(b'{"a":[{},"[{"],"b":1}') == 3
