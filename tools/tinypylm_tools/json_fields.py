"""Typed reading of somebody else's JSON file: a field has the type that is asked for, or the error names the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object of the file `where`; `code` is that of the error for a field that cannot be used."""

    values: dict[str, Json]
    where: str
    code: ErrorCode

    def get(self, name: str) -> Json:
        return self.values.get(name)

    def integer(self, name: str) -> int:
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.unusable(name, value, "an integer")
        if abs(value) >= 1 << 63:
            raise self.unusable(name, "a larger one", "an integer of 64 bits")
        return value

    def number(self, name: str) -> float:
        value = self.values.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.unusable(name, value, "a number")
        try:
            return float(value)
        except OverflowError:
            raise self.unusable(name, value, "a number that a float can hold") from None

    def flag(self, name: str) -> bool:
        """A boolean; absent and null are False."""
        value = self.values.get(name) or False
        if not isinstance(value, bool):
            raise self.unusable(name, value, "true or false")
        return value

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self.unusable(name, value, "a string")
        return value

    def items(self, name: str) -> list[Json]:
        """An array; absent and null are empty."""
        value = self.values.get(name) or []
        if not isinstance(value, list):
            raise self.unusable(name, value, "an array")
        return value

    def object(self, name: str) -> Fields:
        return self.nested(self.values.get(name), name)

    def nested(self, value: Json, name: str) -> Fields:
        """`value`, found under `name`, as fields."""
        if not isinstance(value, dict):
            raise self.unusable(name, value, "an object")
        return Fields(value, f"{self.where}, {name}", self.code)

    def unusable(self, name: str, found: Json, expected: str, advice: str = "") -> ToolError:
        shown = json.dumps(found) if name in self.values else "nothing"
        return ToolError(
            self.code, f"{name} in {self.where}: found {shown:.120}, expected {expected}. {advice}".rstrip(),
            {"file": self.where, "field": name})


def read_json(path: Path, code: ErrorCode) -> Fields:
    """The object in a JSON file. Raises ToolError where there is no such file or object."""
    try:
        value: Json = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, RecursionError) as error:
        raise ToolError(code, f"{path} is not JSON ({error}). Export the checkpoint again.") from error
    if not isinstance(value, dict):
        raise ToolError(code, f"{path} holds a JSON {type(value).__name__}, expected an object.")
    return Fields(value, path.name, code)


_FOLDER = ("A checkpoint folder has config.json, model.safetensors and tokenizer.json, as transformers' "
           "save_pretrained writes them.")


def missing(path: Path, expected: str = _FOLDER) -> ToolError:
    names = sorted(entry.name for entry in path.parent.iterdir())[:8] if path.parent.is_dir() else []
    holds = f"the folder holds {', '.join(names) or 'nothing'}" if path.parent.is_dir() else "there is no such folder"
    return ToolError(
        ErrorCode.MISSING_FILE, f"{path} is missing; {holds}. {expected}", {"file": str(path.name)})
