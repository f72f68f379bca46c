"""A file's bytes, in Python's memory or outside of it: what is outside comes in by pieces, and is never whole here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

PIECE_BYTES = 1_048_576


class Source(Protocol):
    """source[start:end] are the bytes there; of a memoryview a part of it, of a file outside Python a copy."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> memoryview: ...


FileBytes = bytes | bytearray | memoryview | Source


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file and its SHA-256, which whoever gives it out has computed from these very bytes; of a model's, its tensors'
    checksum too, where that is known."""

    data: FileBytes
    sha256: str
    tensor_checksum: str | None = None

    @classmethod
    def of(cls, data: bytes | memoryview) -> HashedFile:
        return cls(data, hashlib.sha256(data).hexdigest())


def source_of(data: FileBytes) -> Source:
    """`data` without the right to change it; nothing is copied."""
    return memoryview(data).cast("B").toreadonly() if isinstance(data, bytes | bytearray | memoryview) else data


def pieces(source: Source, start: int, end: int) -> Iterator[memoryview]:
    """The bytes from `start` to `end`, a piece after the other."""
    for at in range(start, end, PIECE_BYTES):
        yield source[at : min(at + PIECE_BYTES, end)]
