"""Suites of cases as TOML or JSON Lines, and held-out texts: closed shapes, each file known by its digest."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.evaluation import DECODING, ROLES
from tinypylm.provenance.schema import LINE, NAME, U64, Rule, choice, fields, items, list_of, record, text, variants
from tinypylm_tools.file_bytes import read_file

SUFFIXES = (".toml", ".jsonl")
DEFAULT_DECODING: JsonObject = {
    "temperature_ppm": 0, "top_k": 40, "top_p_ppm": 1_000_000, "min_p_ppm": 0, "repetition_penalty_ppm": 1_000_000,
    "max_tokens": 32,
}

_PROMPT = text(r"[\s\S]{1,8192}", "1 to 8,192 characters")
_MAYBE: dict[str, Rule] = {"seed": U64, "decoding": lambda value, path: DECODING({**DEFAULT_DECODING, **_object(
    value, path)}, path)}
_TASKS: dict[str, dict[str, Rule]] = {
    "repeat": {},
    "choose": {"options": list_of(_PROMPT, 2, 16), "expected": _PROMPT},
    "continue": {"expected": _PROMPT},
    "avoid": {"words": list_of(text(r"\w{1,64}", "a word"), 1, 256)},
}
_CASE = variants("task", {
    task: record({"id": NAME, "task": choice(task), "prompt": _PROMPT, **keys}, _MAYBE)
    for task, keys in _TASKS.items()})
_HEAD: dict[str, Rule] = {"name": NAME, "role": choice(*ROLES), "scope": LINE}
_SUITE = record({**_HEAD, "cases": list_of(_CASE, 1)}, {"decoding": _MAYBE["decoding"]})


@dataclass(frozen=True, slots=True)
class Case:
    """One case, its defaults filled in. `options`, `words` and `expected` as its task has them."""

    id: str
    task: str
    prompt: str
    seed: int
    decoding: JsonObject
    expected: str
    options: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases ascending by id."""

    name: str
    role: str
    scope: str
    sha256: str
    size_bytes: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A text whose documents stand apart by empty lines."""

    name: str
    sha256: str
    size_bytes: int
    documents: tuple[str, ...]


def load_suite(path: Path) -> Suite:
    """The suite of a .toml or .jsonl file; the latter has the suite's own keys in its first line, then a case a line.

    Raises ToolError for a file that cannot be read, ProvenanceError for one that breaks the shape.
    """
    data = read_file(path)
    try:
        body = _parse(path, data.decode())
        _SUITE(body, "")
    except ProvenanceError as error:
        raise ProvenanceError(error.code, f"{path}: {error.message}", error.detail) from error
    except (ValueError, RecursionError) as error:
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path} cannot be read as a suite ({error}); expected TOML, or JSON "
                        "Lines with the suite's keys in the first line", {"file": str(path)}) from error
    shared = body.get("decoding", {})
    cases = [_case(fields(case), fields(shared)) for case in items(body["cases"])]
    _check_unique(path, cases)
    return Suite(str(body["name"]), str(body["role"]), str(body["scope"]), hashlib.sha256(data).hexdigest(), len(data),
                 tuple(sorted(cases, key=lambda case: case.id)))


def load_text(path: Path) -> HeldOut:
    """A held-out text in UTF-8. Raises ToolError."""
    return held_out(path, read_file(path))


def held_out(path: Path, data: bytes) -> HeldOut:
    """The text of the file `path`, whose bytes are `data`. Raises ToolError."""
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path} is not UTF-8 at byte {error.start}.") from error
    documents = tuple(part.strip("\r\n") for part in re.split(r"\r?\n(?:[ \t]*\r?\n)+", whole) if part.strip())
    if not documents:
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path} holds no text; expected documents with empty lines between.")
    return HeldOut(path.stem, hashlib.sha256(data).hexdigest(), len(data), documents)


def _parse(path: Path, text: str) -> JsonObject:
    if path.suffix == ".toml":
        return tomllib.loads(text)
    head, *cases = [json.loads(line) for line in text.split("\n") if line.strip()]
    return {**_object(head, "the first line"), "cases": cases}


def _case(body: JsonObject, shared: JsonObject) -> Case:
    decoding: JsonObject = {**DEFAULT_DECODING, **shared, **fields(body.get("decoding", {}))}
    strings = {key: tuple(str(item) for item in items(body.get(key, []))) for key in ("options", "words")}
    return Case(str(body["id"]), str(body["task"]), str(body["prompt"]), int(str(body.get("seed", "0"))), decoding,
                str(body.get("expected", "")), strings["options"], strings["words"])


def _check_unique(path: Path, cases: Sequence[Case]) -> None:
    ids = [case.id for case in cases]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path} has two cases with the id {twice!r}.", {"id": twice})
    for case in cases:
        if case.task == "choose" and case.expected not in case.options:
            raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path}: case {case.id!r} expects {case.expected!r:.60}, which "
                            "is none of its options.", {"id": case.id})


def _object(value: JsonValue, path: str) -> JsonObject:
    record({}, {key: lambda value, path: None for key in value} if isinstance(value, dict) else {})(value, path)
    return fields(value)
