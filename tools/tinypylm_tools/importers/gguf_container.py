"""The container GGUF, read strictly: keys with their values, and where each tensor lies.

The reader of the package `gguf` multiplies dimensions in 64 bits that wrap, and loops over an array as often as the
file says. Here every count and size is held against the bytes that are left before anything of that size is made, so a
file of n bytes costs time and memory in proportion to n. Versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.memory import aligned
from tinypylm_tools.importers.stored_tensor import BLOCKS, StoredTensor
from tinypylm_tools.json_fields import Fields, Json, missing

_MAGIC = b"GGUF"
_SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
_BOOL, _STRING, _ARRAY = 7, 8, 9
_KINDS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K",
    13: "Q5_K", 14: "Q6_K", 30: "BF16",
}
_LAYOUTS = BLOCKS | {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2)}
_MOST_DIMENSIONS = 4
_SMALLEST_STRING_BYTES, _SMALLEST_KEY_BYTES, _SMALLEST_TENSOR_BYTES = 8, 13, 32


@dataclass(frozen=True, slots=True)
class Container:
    """The keys of a file, and its tensors by name. Shapes are [rows, columns], as in NumPy."""

    fields: Fields
    tensors: dict[str, StoredTensor]


def read_container(path: Path) -> Container:
    """What the file says of itself. Raises ToolError where it breaks a rule; no weight is read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _container(path, _Cursor(data, path))
    except FileNotFoundError:
        raise missing(path, "Name a GGUF file.") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error


class _Entry(NamedTuple):
    """A tensor of the list: bytes `offset` to `end` behind it."""

    kind: str
    shape: tuple[int, ...]
    offset: int
    end: int


class _Cursor:
    """Reads a file from front to back; every step is held against what is left."""

    def __init__(self, data: mmap.mmap, path: Path):
        self.path, self.at = path, 0
        self._data, self.size = data, len(data)

    def take(self, count: int, unit: int, what: str) -> bytes:
        if count * unit > self.size - self.at:
            raise self.damaged(f"{what} would take {count} x {unit} bytes; {self.size - self.at} are left")
        self.at += count * unit
        return self._data[self.at - count * unit : self.at]

    def number(self, kind: str, what: str) -> int:
        return int(np.frombuffer(self.take(1, np.dtype(kind).itemsize, what), kind)[0])

    def count(self, unit: int, what: str) -> int:
        """A u64 count of things that take at least `unit` bytes each."""
        count = self.number("<u8", what)
        if count > (self.size - self.at) // unit:
            raise self.damaged(f"{what} is {count}; {self.size - self.at} bytes are left for them")
        return count

    def text(self, what: str) -> str:
        raw = self.take(self.count(1, f"the length of {what}"), 1, what)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.damaged(f"{what} is {raw[:40]!r}, which is not UTF-8") from None

    def damaged(self, what: str) -> ToolError:
        return _damaged(self.path, f"at byte {self.at} {what}")


def _container(path: Path, cursor: _Cursor) -> Container:
    if cursor.take(4, 1, "the magic") != _MAGIC:
        raise _damaged(path, "it does not start with GGUF")
    version = cursor.number("<u4", "the version")
    if version not in (2, 3):
        raise cursor.damaged(f"the version is {version}; expected 2 or 3, little-endian")
    tensor_count = cursor.count(_SMALLEST_TENSOR_BYTES, "the number of tensors")
    values: dict[str, Json] = {}
    for _ in range(cursor.count(_SMALLEST_KEY_BYTES, "the number of keys")):
        name = cursor.text("a key")
        if name in values:
            raise cursor.damaged(f"the key {name!r:.80} stands twice")
        values[name] = _value(cursor, cursor.number("<u4", f"the type of {name}"), name)
    fields = Fields(values, path.name, ErrorCode.UNSUPPORTED_CHECKPOINT)
    return Container(fields, _tensors(cursor, tensor_count, _alignment(fields)))


def _value(cursor: _Cursor, kind: int, name: str) -> Json:
    if kind == _STRING:
        return cursor.text(name)
    if kind != _ARRAY:
        return _scalars(cursor, kind, 1, name)[0]
    kind = cursor.number("<u4", f"the type of {name}")
    if kind == _STRING:
        return [cursor.text(name) for _ in range(cursor.count(_SMALLEST_STRING_BYTES, f"the length of {name}"))]
    return _scalars(cursor, kind, cursor.count(1, f"the length of {name}"), name)


def _scalars(cursor: _Cursor, kind: int, count: int, name: str) -> list[Json]:
    if kind == _BOOL:
        return [byte != 0 for byte in cursor.take(count, 1, name)]
    if kind not in _SCALARS:
        raise cursor.damaged(f"{name} has type {kind}; expected a number, a string, or an array of one of these")
    numbers: list[Json] = np.frombuffer(
        cursor.take(count, np.dtype(_SCALARS[kind]).itemsize, name), _SCALARS[kind]).tolist()
    return numbers


def _alignment(fields: Fields) -> int:
    alignment = fields.integer("general.alignment") if "general.alignment" in fields.values else 32
    if alignment < 8 or alignment & alignment - 1 or alignment > 1 << 20:
        raise fields.unusable("general.alignment", alignment, "a power of two from 8 on")
    return alignment


def _tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, StoredTensor]:
    entries: dict[str, _Entry] = {}
    for _ in range(count):
        name = cursor.text("a tensor's name")
        if name in entries:
            raise cursor.damaged(f"the tensor {name!r:.80} stands twice")
        entries[name] = _entry(cursor, name, alignment)
    base = aligned(cursor.at, alignment)
    _check_extents(cursor, entries, base)
    return {
        name: StoredTensor(cursor.path, entry.kind, entry.shape, base + entry.offset, base + entry.end)
        for name, entry in entries.items()}


def _entry(cursor: _Cursor, name: str, alignment: int) -> _Entry:
    """One tensor of the list. Sizes are Python's integers, which do not wrap."""
    dimensions = cursor.number("<u4", f"the number of dimensions of {name}")
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise cursor.damaged(f"{name} has {dimensions} dimensions; expected 1 to {_MOST_DIMENSIONS}")
    shape = tuple(cursor.number("<u8", f"the shape of {name}") for _ in range(dimensions))[::-1]
    kind, offset = cursor.number("<u4", f"the type of {name}"), cursor.number("<u8", f"the offset of {name}")
    if kind not in _KINDS:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"{name} in {cursor.path.name} has ggml's type {kind}; expected one of "
            f"{', '.join(_KINDS.values())}. Convert the model to one of these.", {"tensor": name, "found": kind})
    elements, size = _LAYOUTS[_KINDS[kind]]
    if shape[-1] % elements or offset % alignment:
        raise cursor.damaged(f"{name} has rows of {shape[-1]} and offset {offset}; expected multiples of {elements} "
                             f"and {alignment}")
    return _Entry(_KINDS[kind], shape, offset, offset + prod(shape) // elements * size)


def _check_extents(cursor: _Cursor, entries: dict[str, _Entry], base: int) -> None:
    """Every tensor ends inside the file, and none lies over another."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.offset < end or base + entry.end > cursor.size:
            raise _damaged(cursor.path, f"{name} takes bytes {base + entry.offset} to {base + entry.end}; expected "
                           f"{base + end} to {cursor.size} at most")
        end = entry.end


def _damaged(path: Path, what: str) -> ToolError:
    return ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"{path} is not a sound GGUF file: {what}. Download or convert it again.",
        {"file": path.name})
