"""Recipes: what `tinypylm breed` is told, as a TOML file. Models are named by path and by SHA-256.

    operator = "dare"
    name = "Storyteller, half remembered"
    keep_ppm = 500000
    seed = 7
    base = { path = "story.slm", sha256 = "..." }
    [[parent]]
    path = "fables.slm"
    sha256 = "..."
    weight_ppm = 700000
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.breeding.parameters import nearest
from tinypylm_tools.model_file import ModelFile, open_model

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PARAMETERS = ("keep_ppm", "floor_ppm", "seed", "unit")
_KEYS = ("operator", "name", *_PARAMETERS, "base", "parent")
_MODEL_KEYS = ("path", "sha256")
_PARENT_KEYS = (*_MODEL_KEYS, "weight_ppm")

Table = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe whose models were found and are those that it names; `given` are parameters as in a receipt."""

    operator: str
    name: str | None
    given: JsonObject
    base: bytes | None
    parents: tuple[bytes, ...]


def read_recipe(path: Path) -> Recipe:
    """Paths are relative to the recipe's folder. Raises ToolError, FormatError."""
    table = _Checked(path, "the recipe", _toml(path), _KEYS)
    base = table.get("base", _is_table, "a table with path and sha256")
    parents = table.get("parent", _are_tables, "a list of tables with path and sha256")
    others = [_Checked(path, f"parent {number}", parent, _PARENT_KEYS)
              for number, parent in enumerate(_tables(parents), 1)]
    name = table.get("name", _is_text, "a string")
    return Recipe(
        str(table.needed("operator", _is_text, "a string")), None if name is None else str(name),
        {**_chosen(table), **_weights(others)},
        None if base is None else _model(_Checked(path, "base", _tables([base])[0], _MODEL_KEYS)),
        tuple(_model(other) for other in others))


class _Checked:
    """A table of a recipe with a closed set of keys."""

    def __init__(self, path: Path, where: str, table: Table, keys: Iterable[str]):
        self.path, self.where, self._table = path, where, table
        for key in table:
            if key not in keys:
                raise self.refusal(f"has the key {key!r}; {nearest(key, keys)}", key)

    def get(self, key: str, accepts: Callable[[object], bool], expected: str) -> object:
        """The value, or None where there is none."""
        value = self._table.get(key)
        if key in self._table and not accepts(value):
            raise self.refusal(f"has {value!r:.60} as {key}; expected {expected}", key)
        return value

    def needed(self, key: str, accepts: Callable[[object], bool], expected: str) -> object:
        if key not in self._table:
            raise self.refusal(f"lacks {key}; expected {expected}", key)
        return self.get(key, accepts, expected)

    def refusal(self, message: str, key: str) -> ToolError:
        return ToolError(ErrorCode.UNUSABLE_RECIPE, f"{self.path}: {self.where} {message}.",
                         {"file": str(self.path), "where": self.where, "key": key})


def _toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolError(ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); expected a recipe in TOML.",
                        {"file": str(path)}) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(ErrorCode.UNUSABLE_RECIPE, f"{path} is not TOML: {error}.", {"file": str(path)}) from error


def _chosen(table: _Checked) -> JsonObject:
    """The parameters that stand in the recipe; their values are checked with the operator."""
    chosen: JsonObject = {}
    for key in _PARAMETERS:
        value = table.get(key, _is_scalar, "an integer or a string")
        if isinstance(value, int | str):
            chosen[key] = value
    return chosen


def _weights(parents: list[_Checked]) -> JsonObject:
    """`weights_ppm`, where parents have weights: then each of them has one."""
    values = [parent.get("weight_ppm", _is_integer, "an integer, in millionths") for parent in parents]
    weights: list[JsonValue] = [value for value in values if isinstance(value, int)]
    if 0 < len(weights) < len(parents):
        parent = parents[values.index(None)]
        raise parent.refusal("lacks weight_ppm, which other parents have; give each a weight, or none", "weight_ppm")
    return {"weights_ppm": weights} if weights else {}


def _model(table: _Checked) -> bytes:
    """The bytes of a model that is the one named."""
    path = table.path.parent / str(table.needed("path", _is_text, "a path, from the recipe's folder"))
    expected = str(table.needed("sha256", _is_digest, "64 lower-case hexadecimal digits"))
    file: ModelFile = open_model(path)
    if file.sha256 != expected:
        raise ToolError(
            ErrorCode.DIGEST_MISMATCH, f"{path} has the SHA-256 {file.sha256}; {table.path} names {expected} for "
            f"{table.where}. Find that file, or write a new recipe.",
            {"file": str(path), "found": file.sha256, "expected": expected})
    return file.data


def _tables(value: object) -> list[Table]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_scalar(value: object) -> bool:
    return _is_integer(value) or _is_text(value)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
