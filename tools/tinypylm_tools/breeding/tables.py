"""Tables of a TOML file with closed sets of keys, and the files that they name by path and SHA-256."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.breeding.parameters import nearest
from tinypylm_tools.model_file import open_model

Table = Mapping[str, object]
MODEL_KEYS = ("path", "sha256")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ClosedTable:
    """A table with a closed set of keys; `where` is what a refusal calls it."""

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


def read_toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolError(ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); expected a TOML file.",
                        {"file": str(path)}) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(ErrorCode.UNUSABLE_RECIPE, f"{path} is not TOML: {error}.", {"file": str(path)}) from error


def read_models(
    path: Path, table: ClosedTable, parent_keys: Iterable[str]
) -> tuple[bytes | None, list[tuple[ClosedTable, bytes]]]:
    """The base, if there is one, and each parent with its table, as `table` of the file `path` names them."""
    base = table.get("base", is_table, "a table with path and sha256")
    parents = table.get("parent", are_tables, "a list of tables with path and sha256")
    others = [ClosedTable(path, f"parent {number}", parent, parent_keys)
              for number, parent in enumerate(tables_of(parents), 1)]
    first = None if base is None else ClosedTable(path, "base", tables_of([base])[0], MODEL_KEYS)
    return None if first is None else _model(first), [(other, _model(other)) for other in others]


def named_file(table: ClosedTable, read: Callable[[Path], bytes]) -> bytes:
    """The bytes of a file, if it is the one that `table` names by path and digest. Raises ToolError."""
    path = table.path.parent / str(table.needed("path", is_text, "a path, from the folder of this file"))
    expected = str(table.needed("sha256", is_digest, "64 lower-case hexadecimal digits"))
    data = read(path)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ToolError(
            ErrorCode.DIGEST_MISMATCH, f"{path} has the SHA-256 {found}; {table.path} names {expected} for "
            f"{table.where}. Find that file, or name this one.",
            {"file": str(path), "found": found, "expected": expected})
    return data


def _model(table: ClosedTable) -> bytes:
    return named_file(table, lambda path: open_model(path).data)


def tables_of(value: object) -> list[Table]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def is_table(value: object) -> bool:
    return isinstance(value, dict)


def are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_scalar(value: object) -> bool:
    return is_integer(value) or is_text(value)


def is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
