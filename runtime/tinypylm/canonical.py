"""Canonical JSON: RFC 8785 with a profile, so that one value has one text and one digest.

Objects, arrays, strings, booleans and integers within 2^53 - 1. No null and no floats; keys match `[a-z0-9_]+`; at most
16 levels. The loader refuses every text that is not byte for byte what `dumps` would write.
"""

from __future__ import annotations

import json
import re

from tinypylm.errors import CanonicalError

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int
JsonObject = dict[str, JsonValue]

MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
_KEY = re.compile(r"[a-z0-9_]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MAX_DIGITS = 17


def dumps(value: JsonValue) -> bytes:
    """The one text of `value`. Raises CanonicalError where the profile has no text for it."""
    _check(value, 1)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise CanonicalError(f"a string holds the lone surrogate U+{ord(text[error.start]):04X}") from error


def loads(text: bytes) -> JsonValue:
    """The value whose canonical text is `text`. Raises CanonicalError for any other bytes."""
    decoded = _decoded(text)
    _check_nesting(decoded)
    try:
        value: JsonValue = json.loads(
            decoded, object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number,
            parse_int=_integer)
    except json.JSONDecodeError as error:
        raise CanonicalError(f"not JSON at character {error.pos}: {error.msg}") from error
    canonical = dumps(value)
    if canonical != text:
        at = next((i for i, (a, b) in enumerate(zip(text, canonical, strict=False)) if a != b), len(canonical))
        raise CanonicalError(f"not the canonical text of its value from byte {at} on (spaces, order or escapes)")
    return value


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(f"not UTF-8 at byte {error.start}") from error


def _check(value: JsonValue, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CanonicalError(f"more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key)
            _check(item, depth + isinstance(item, dict | list))
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + isinstance(item, dict | list))
    elif not isinstance(value, str | int):
        found = "null" if value is None else f"a {type(value).__name__}"
        raise CanonicalError(f"{found}; expected an object, array, string, boolean or integer")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise CanonicalError("an integer beyond 2^53 - 1; write it as a decimal string")


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise CanonicalError(f"the key {key!r:.80}; keys match [a-z0-9_]+")


def _check_nesting(text: str) -> None:
    """Before json recurses: it has no limit of its own that is the same on every machine."""
    depth = 0
    for mark in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if mark in "[{" else -1
        if depth > MAX_DEPTH:
            raise CanonicalError(f"more than {MAX_DEPTH} levels deep")


def _object(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise CanonicalError(f"the key {twice!r:.80} twice in one object")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise CanonicalError("an integer beyond 2^53 - 1; write it as a decimal string")
    return int(digits)


def _refuse_number(text: str) -> int:
    raise CanonicalError(f"the number {text:.32}; only integers have a canonical text")
