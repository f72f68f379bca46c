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

from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm_tools.breeding.tables import (
    MODEL_KEYS,
    ClosedTable,
    is_integer,
    is_scalar,
    is_text,
    read_models,
    read_toml,
)

_PARAMETERS = ("keep_ppm", "floor_ppm", "seed", "unit")
_KEYS = ("operator", "name", *_PARAMETERS, "base", "parent")
_PARENT_KEYS = (*MODEL_KEYS, "weight_ppm")


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
    table = ClosedTable(path, "the recipe", read_toml(path), _KEYS)
    base, others = read_models(path, table, _PARENT_KEYS)
    name = table.get("name", is_text, "a string")
    return Recipe(
        str(table.needed("operator", is_text, "a string")), None if name is None else str(name),
        {**_chosen(table), **_weights([parent for parent, _ in others])}, base, tuple(data for _, data in others))


def _chosen(table: ClosedTable) -> JsonObject:
    """The parameters that stand in the recipe; their values are checked with the operator."""
    chosen: JsonObject = {}
    for key in _PARAMETERS:
        value = table.get(key, is_scalar, "an integer or a string")
        if isinstance(value, int | str):
            chosen[key] = value
    return chosen


def _weights(parents: list[ClosedTable]) -> JsonObject:
    """`weights_ppm`, where parents have weights: then each of them has one."""
    values = [parent.get("weight_ppm", is_integer, "an integer, in millionths") for parent in parents]
    weights: list[JsonValue] = [value for value in values if isinstance(value, int)]
    if 0 < len(weights) < len(parents):
        parent = parents[values.index(None)]
        raise parent.refusal("lacks weight_ppm, which other parents have; give each a weight, or none", "weight_ppm")
    return {"weights_ppm": weights} if weights else {}
