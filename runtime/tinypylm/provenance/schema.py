"""Closed shapes for JSON values: small declarations of what a record may hold, and refusals that name the place.

A rule is called with a value and its path, and answers nothing or raises ProvenanceError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from tinypylm.canonical import MAX_INTEGER, JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.provenance.codes import ProvenanceCode

Rule = Callable[[JsonValue, str], None]

_DECIMAL = re.compile(r"[0-9]{1,17}\.[0-9]{1,21}|[0-9](?:\.[0-9]{1,17})?e[+-][0-9]{2,3}")


def text(pattern: str, words: str, code: ProvenanceCode = ProvenanceCode.RECORD_VALUE) -> Rule:
    """A string that matches `pattern` as a whole; `words` says so to a reader, `code` is that of one that does not."""
    compiled = re.compile(pattern)

    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, str):
            raise _value(path, value, words)
        if not compiled.fullmatch(value):
            raise _value(path, value, words, code)
    return check


def string(least: int, most: int) -> Rule:
    """Any text of `least` to `most` characters."""
    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise _value(path, value, f"a text of {least} to {most} characters")
    return check


def DECIMAL(value: JsonValue, path: str) -> None:  # noqa: N802 - a rule, as those below
    """An f64 that is finite and not negative, as the shortest decimal text that Python has for it."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value) or repr(float(value)) != value:
        raise _value(path, value, "the shortest decimal text of a number, such as 0.8 or 1.0")


def choice(*words: str) -> Rule:
    """One of `words`."""
    def check(value: JsonValue, path: str) -> None:
        if value not in words or not isinstance(value, str):
            raise _value(path, value, f"one of {', '.join(words)}")
    return check


def integer(least: int = 0, most: int = MAX_INTEGER) -> Rule:
    """An integer from `least` to `most`."""
    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _value(path, value, f"an integer from {least} to {most}")
    return check


def boolean(value: JsonValue, path: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise _value(path, value, "true or false")


def list_of(rule: Rule, least: int = 0, most: int = 4096) -> Rule:
    """`least` to `most` values, each of which keeps `rule`."""
    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, list) or not least <= len(value) <= most:
            found = f"{len(value)} values" if isinstance(value, list) else value
            raise _value(path, found, f"a list of {least} to {most}")
        for index, item in enumerate(value):
            rule(item, f"{path}[{index}]")
    return check


def map_of(rule: Rule, most: int = 4096) -> Rule:
    """An object with any keys, at most `most`, each of whose values keeps `rule`."""
    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, dict) or len(value) > most:
            found = f"{len(value)} keys" if isinstance(value, dict) else value
            raise _value(path, found, f"an object of at most {most} keys")
        for key, item in value.items():
            rule(item, f"{path}.{key}")
    return check


def record(keys: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """An object with exactly `keys`, and of `optional` what it likes."""
    known = {**keys, **(optional or {})}

    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, dict):
            raise _value(path, value, "an object")
        for key in sorted(value.keys() - known.keys()):
            raise _unknown_key(path, key, known)
        for key, rule in known.items():
            if key in value:
                rule(value[key], f"{path}.{key}" if path else key)
            elif key in keys:
                raise _missing_key(path, key)
    return check


def variants(key: str, rules: Mapping[str, Rule]) -> Rule:
    """An object whose string `key` chooses the rule that the whole of it keeps."""
    names = choice(*rules)

    def check(value: JsonValue, path: str) -> None:
        if not isinstance(value, dict):
            raise _value(path, value, "an object")
        if key not in value:
            raise _missing_key(path, key)
        names(value[key], f"{path}.{key}" if path else key)
        rules[str(value[key])](value, path)
    return check


SHA256 = text(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits")
F32_BITS = text(r"[0-9a-f]{8}", "the 8 hexadecimal digits of an f32's bits")
U64 = text(r"0|[1-9][0-9]{0,19}", "a u64 as a decimal string")
NAME = text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 of A-Z a-z 0-9 . _ -, not starting with . _ -")
LINE = text(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}", "1 to 200 characters on one line")
SIZE = integer(1)
PPM = integer(0, 1_000_000)


def fields(value: JsonValue) -> JsonObject:
    """`value`, which a schema has already found to be an object."""
    assert isinstance(value, dict)
    return value


def items(value: JsonValue) -> list[JsonValue]:
    """`value`, which a schema has already found to be a list."""
    assert isinstance(value, list)
    return value


def number(value: JsonValue) -> int:
    """`value`, which a schema has already found to be an integer."""
    assert isinstance(value, int)
    return value


def _value(
    path: str, found: JsonValue, expected: str, code: ProvenanceCode = ProvenanceCode.RECORD_VALUE
) -> ProvenanceError:
    shown = f"{found!r:.80}"
    return ProvenanceError(
        code, f"{path or 'the record'} is {shown}, expected {expected}",
        {"path": path, "found": shown, "expected": expected})


def _unknown_key(path: str, key: str, known: Mapping[str, Rule]) -> ProvenanceError:
    near = get_close_matches(key, known, 1)
    advice = f"; did you mean {near[0]}?" if near else f"; expected {', '.join(sorted(known))}"
    return ProvenanceError(
        ProvenanceCode.RECORD_UNKNOWN_KEY, f"{path or 'the record'} has the key {key!r:.60}, which it must not{advice}",
        {"path": path, "key": key[:60], "nearest": near[0] if near else None})


def _missing_key(path: str, key: str) -> ProvenanceError:
    return ProvenanceError(
        ProvenanceCode.RECORD_MISSING_KEY, f"{path or 'the record'} lacks the key {key!r}", {"path": path, "key": key})
