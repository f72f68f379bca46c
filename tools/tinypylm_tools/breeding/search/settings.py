"""What a search is told: a TOML file with a closed set of keys; models and texts are named by path and SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.parameters import find_operator
from tinypylm_tools.breeding.tables import (
    MODEL_KEYS,
    ClosedTable,
    is_integer,
    is_table,
    named_file,
    read_models,
    read_toml,
    tables_of,
)
from tinypylm_tools.evaluation.suites import HeldOut, held_out
from tinypylm_tools.file_bytes import read_file

_KEYS = ("seed", "population", "generations", "operators", "base", "parent", "selection", "reported")
_LIMITS = {"seed": (0, 2**63 - 1), "population": (2, 1_000), "generations": (1, 1_000)}


@dataclass(frozen=True, slots=True)
class Settings:
    """A search, with everything that it needs in memory."""

    seed: int
    population: int
    generations: int
    operators: tuple[str, ...]
    base: bytes | None
    parents: tuple[bytes, ...]
    selection: HeldOut
    reported: HeldOut

    def record(self) -> JsonObject:
        """The settings as the first line of the population holds them."""
        models = [] if self.base is None else [self.base]
        return {
            "seed": str(self.seed), "population": self.population, "generations": self.generations,
            "operators": [*self.operators], "base": [hashlib.sha256(data).hexdigest() for data in models],
            "parents": [hashlib.sha256(data).hexdigest() for data in self.parents],
            "selection_sha256": self.selection.sha256, "reported_sha256": self.reported.sha256}


def read_settings(path: Path) -> Settings:
    """Paths are relative to the file's folder. Raises ToolError, FormatError."""
    table = ClosedTable(path, "the search", read_toml(path), _KEYS)
    base, parents = read_models(path, table, MODEL_KEYS)
    seed, population, generations = (_number(table, key) for key in _LIMITS)
    operators = _operators(table, base is not None, len(parents))
    selection, reported = (_text(path, table, key) for key in ("selection", "reported"))
    if shared := set(selection.documents) & set(reported.documents):
        raise table.refusal(
            f"selects by {len(shared)} documents that it would also report ({min(shared)!r:.40}); what is chosen by a "
            "text says nothing on it: give two texts without a document in common", "reported")
    return Settings(seed, population, generations, operators, base, tuple(data for _, data in parents), selection,
                    reported)


def _number(table: ClosedTable, key: str) -> int:
    least, most = _LIMITS[key]
    value = table.needed(key, is_integer, f"an integer from {least} to {most}")
    if not isinstance(value, int) or not least <= value <= most:
        raise table.refusal(f"has {value} as {key}; expected {least} to {most}", key)
    return value


def _operators(table: ClosedTable, has_base: bool, parents: int) -> tuple[str, ...]:
    """Those named, each of which can work with the models."""
    names = table.needed("operators", _is_list_of_texts, f"a list of some of {', '.join(OPERATORS)}")
    chosen = tuple(str(name) for name in names) if isinstance(names, list) else ()
    for name in chosen:
        operator = find_operator(name)
        if operator.base and not has_base:
            raise table.refusal(f"names the operator {name}, which needs a base; give one", "base")
        if not operator.fewest <= parents <= operator.most:
            raise table.refusal(f"names the operator {name}, which takes {operator.fewest} to {operator.most} parents, "
                                f"and has {parents}", "parent")
    return chosen


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _text(path: Path, table: ClosedTable, key: str) -> HeldOut:
    value = table.needed(key, is_table, "a table with path and sha256")
    named = ClosedTable(path, key, tables_of([value])[0], MODEL_KEYS)
    data = named_file(named, read_file)
    return held_out(path.parent / str(named.get("path", bool, "a path")), data)
