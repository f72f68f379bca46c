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
_MAX_DIGITS = 17
_KEY = re.compile(r"[a-z0-9_]+")
_KEY_IN_TEXT = re.compile(rb'"([a-z0-9_]+)":')
_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]*)(?![0-9.eE])")
# Possessive, so that a string takes one pass and no memory, however long it is and whether or not it ends.
_STRING = re.compile(
    rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\bfnrt]|u00(?:0[0-7be-f]|1[0-9a-f]))[^"\\\x00-\x1f]*+)*+"')
_REASONS = tuple((re.compile(pattern), reason) for pattern, reason in (
    (rb"\Z", "the text ends too early"),
    (rb"[ \t\r\n]", "white space between values"),
    (rb"null", "null, which has no place in the profile"),
    (rb"-?(?:NaN|Infinity|[0-9])", "a number that is not an integer in its shortest form"),
))
"""What stands at a place that the grammar refuses, in words; the first that matches."""


def dumps(value: JsonValue) -> bytes:
    """The one text of `value`. Raises CanonicalError where the profile has no text for it."""
    _check_value(value, 1)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise CanonicalError(f"a string holds the lone surrogate U+{ord(text[error.start]):04X}") from error


def loads(text: bytes) -> JsonValue:
    """The value whose canonical text is `text`. Raises CanonicalError for any other bytes."""
    return _walk(text, make=True).made


def check(text: bytes) -> int:
    """How many objects and arrays the canonical `text` has, counted before one of them is made.

    One pass, and no memory but for decoding. Raises CanonicalError where `text` is not canonical.
    """
    return _walk(text, make=False).containers


def _walk(text: bytes, *, make: bool) -> _Walk:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise CanonicalError(f"not UTF-8 at byte {error.start}") from error
    walk = _Walk(text, make=make)
    walk.made, end = walk.value(0, 0)
    if end < len(text):
        raise CanonicalError(f"something behind the value, at byte {end}")
    return walk


class _Walk:
    """One pass over a text, by the grammar of what `dumps` writes; with `make` false the values are placeholders.

    A method takes the place where something starts, and answers what stands there and where it ends.
    """

    def __init__(self, text: bytes, *, make: bool):
        self.text, self.make = text, make
        self.containers = 0
        self.made: JsonValue = 0

    def value(self, at: int, depth: int) -> tuple[JsonValue, int]:
        """The value at `at`, inside `depth` objects and arrays."""
        match self.text[at : at + 1]:
            case b"{" | b"[" if depth == MAX_DEPTH:
                raise CanonicalError(f"more than {MAX_DEPTH} levels deep, at byte {at}")
            case b"{":
                return self._object(at + 1, depth + 1)
            case b"[":
                return self._array(at + 1, depth + 1)
            case b'"':
                return self._string(at)
            case b"t" | b"f":
                return self._boolean(at)
        return self._integer(at)

    def _object(self, at: int, depth: int) -> tuple[JsonObject, int]:
        self.containers += 1
        members: JsonObject = {}
        if self._is(at, b"}"):
            return members, at + 1
        last = b""
        while True:
            key = self._key(at, last)
            last = key[1]
            member, at = self.value(key.end(), depth)
            if self.make:
                members[last.decode()] = member
            if self._is(at, b"}"):
                return members, at + 1
            at = self._comma(at)

    def _array(self, at: int, depth: int) -> tuple[list[JsonValue], int]:
        self.containers += 1
        items: list[JsonValue] = []
        if self._is(at, b"]"):
            return items, at + 1
        while True:
            item, at = self.value(at, depth)
            if self.make:
                items.append(item)
            if self._is(at, b"]"):
                return items, at + 1
            at = self._comma(at)

    def _is(self, at: int, mark: bytes) -> bool:
        return self.text[at : at + 1] == mark

    def _comma(self, at: int) -> int:
        if not self._is(at, b","):
            raise self._refusal(at, "no comma and no end of the object or array")
        return at + 1

    def _key(self, at: int, last: bytes) -> re.Match[bytes]:
        """The key and its colon at `at`; it sorts behind the key `last`."""
        key = _KEY_IN_TEXT.match(self.text, at)
        if key is None:
            raise self._refusal(at, "no key of a-z 0-9 _ with a colon behind it")
        if key[1] <= last:
            order = "twice in one object" if key[1] == last else f"out of order behind {last[:40].decode()!r}"
            raise CanonicalError(f"the key {key[1][:40].decode()!r} {order}, at byte {at}")
        return key

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self.text, at)
        if found is None:
            raise self._refusal(at, "a string with an escape it does not need, a control character, or no end")
        return (_unquoted(found[0]) if self.make else ""), found.end()

    def _boolean(self, at: int) -> tuple[bool, int]:
        for word, value in ((b"true", True), (b"false", False)):
            if self.text.startswith(word, at):
                return value, at + len(word)
        raise self._refusal(at, "not JSON")

    def _integer(self, at: int) -> tuple[int, int]:
        found = _INTEGER.match(self.text, at)
        if found is None:
            raise self._refusal(at, "not JSON")
        value = int(found[0]) if found.end() - at <= _MAX_DIGITS else MAX_INTEGER + 1
        if abs(value) > MAX_INTEGER:
            raise CanonicalError(f"an integer beyond 2^53 - 1, at byte {at}; write it as a decimal string")
        return value, found.end()

    def _refusal(self, at: int, otherwise: str) -> CanonicalError:
        reason = next((reason for pattern, reason in _REASONS if pattern.match(self.text, at)), otherwise)
        shown = self.text[at : at + 32].decode(errors="replace")
        return CanonicalError(f"{reason}, at byte {at}: {shown!r}")


def _unquoted(quoted: bytes) -> str:
    """What a string in quotes stands for."""
    return str(json.loads(quoted)) if b"\\" in quoted else quoted[1:-1].decode()


def _check_value(value: JsonValue, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CanonicalError(f"more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key)
            _check_value(item, depth + isinstance(item, dict | list))
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + isinstance(item, dict | list))
    elif not isinstance(value, str | int):
        found = "null" if value is None else f"a {type(value).__name__}"
        raise CanonicalError(f"{found}; expected an object, array, string, boolean or integer")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise CanonicalError("an integer beyond 2^53 - 1; write it as a decimal string")


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise CanonicalError(f"the key {key!r:.80}; keys match [a-z0-9_]+")
