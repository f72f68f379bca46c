"""Seals an adapter package. The layout is in `docs/adapters.md`; `tinypylm.adapters.parse_package` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinypylm.adapters.base import BaseFacts, base_facts
from tinypylm.adapters.entries import ENTRY, PAIR_BYTES, PackageFormat
from tinypylm.adapters.package import (
    CHECKSUM_OFFSET,
    HEADER,
    HEADER_BYTES,
    STACK_BYTE_BUDGET,
    VERSION,
    RawHeader,
    package_checksum,
    parse_package,
)
from tinypylm.config import Role
from tinypylm.errors import BudgetError, ErrorCode
from tinypylm.format.tensors import GLOBAL_LAYER
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import F32

NOT_SEALED = 0xFFFF_FFFF
_PAIR = np.dtype([("index", "<u8"), ("delta", "<f4")])


@dataclass(frozen=True, slots=True)
class Dense:
    """delta: f32[rows, columns], or f32[length]."""

    role: Role
    layer: int | None
    delta: F32


@dataclass(frozen=True, slots=True)
class Sparse:
    """indices: ascending, into the tensor of `shape` row by row; deltas: as many, none of them 0."""

    role: Role
    layer: int | None
    shape: tuple[int, ...]
    indices: NDArray[np.int64]
    deltas: F32


@dataclass(frozen=True, slots=True)
class LowRank:
    """a: f32[rank, columns], b: f32[rows, rank]."""

    role: Role
    layer: int | None
    a: F32
    b: F32


Change = Dense | Sparse | LowRank
_FORMATS: dict[type[Change], PackageFormat] = {
    Dense: PackageFormat.ADP1, Sparse: PackageFormat.ASP1, LowRank: PackageFormat.ALR1}


def facts(file: ModelFile) -> BaseFacts:
    """What a package for `file` states of it."""
    return base_facts(file.model, file.data[: file.model.header.tokenizer_end], bytes.fromhex(file.sha256))


def seal(base: BaseFacts, changes: Sequence[Change], scale: float = 1.0, keep_ppm: int = 0) -> bytes:
    """The package of `changes`, which are of one kind. Raises BudgetError, AdapterError."""
    ordered = sorted(changes, key=lambda change: (-1 if change.layer is None else change.layer, change.role))
    size = package_bytes(ordered)
    if size > STACK_BYTE_BUDGET:
        raise BudgetError(
            ErrorCode.BUDGET_EXCEEDED, f"The package would have {size:,} bytes; {STACK_BYTE_BUDGET:,} are allowed. "
            "Name fewer roles with --role, or lower --rank or --keep-ppm.",
            {"found": size, "expected": STACK_BYTE_BUDGET})
    package = assemble(base, _FORMATS[type(ordered[0])], ordered, scale, keep_ppm)
    parse_package(package)
    return package


def package_bytes(changes: Sequence[Change]) -> int:
    return HEADER_BYTES + len(changes) * ENTRY.size + sum(len(_payload(change)) for change in changes)


def assemble(
    base: BaseFacts, kind: PackageFormat, changes: Sequence[Change], scale: float, keep_ppm: int
) -> bytes:
    """The bytes of a package with these entries in this order, sealed, but not checked."""
    body = b"".join([*map(_entry, changes), *map(_payload, changes)])
    header = HEADER.pack(*RawHeader._make((
        kind.encode(), VERSION, HEADER_BYTES, HEADER_BYTES + len(body), len(changes), base.layout_checksum,
        base.tokenizer_checksum, base.sha256, base.tensor_count, *base.dimensions, scale, keep_ppm, bytes(12),
        NOT_SEALED)))
    package = bytearray(header + body)
    reseal(package)
    return bytes(package)


def reseal(package: bytearray) -> None:
    """Writes the checksum of what `package` now holds into its header."""
    package[CHECKSUM_OFFSET : CHECKSUM_OFFSET + 4] = package_checksum(memoryview(package)).to_bytes(4, "little")


def _entry(change: Change) -> bytes:
    rows, columns = (*_shape(change), 1)[:2]
    rank = change.a.shape[0] if isinstance(change, LowRank) else 0
    count = len(_payload(change)) // (PAIR_BYTES if isinstance(change, Sparse) else 4)
    layer = GLOBAL_LAYER if change.layer is None else change.layer
    return ENTRY.pack(change.role, rank, layer, rows, columns, count)


def _shape(change: Change) -> tuple[int, ...]:
    if isinstance(change, LowRank):
        return change.b.shape[0], change.a.shape[1]
    return change.shape if isinstance(change, Sparse) else change.delta.shape


def _payload(change: Change) -> bytes:
    if isinstance(change, LowRank):
        return change.a.astype("<f4").tobytes() + change.b.astype("<f4").tobytes()
    if isinstance(change, Dense):
        return change.delta.astype("<f4").tobytes()
    pairs = np.empty(len(change.indices), _PAIR)
    pairs["index"], pairs["delta"] = change.indices, change.deltas
    return pairs.tobytes()
