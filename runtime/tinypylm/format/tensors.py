"""The tensor table: which tensors the file holds, of what type, and where their payloads lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from tinypylm.config import DType, Role, TensorSpec, expected_tensors
from tinypylm.format.codes import FormatCode, refusal
from tinypylm.format.extent import check_padding, checked_extent
from tinypylm.format.header import TENSOR_ENTRY_BYTES, Header
from tinypylm.memory import ALIGNMENT_BYTES, aligned
from tinypylm.quant import allows_quantisation, payload_bytes
from tinypylm.source import Source

ENTRY = struct.Struct("<HBBIIIQQQI20s")
GLOBAL_LAYER = 0xFFFF_FFFF
_ROLES = {int(role): role for role in Role}
_DTYPES = {int(dtype): dtype for dtype in DType}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: `payload_bytes` at `offset` from the start of the file, with the CRC-32 `checksum`."""

    role: Role
    layer: int | None
    dtype: DType
    shape: tuple[int, ...]
    offset: int
    payload_bytes: int
    checksum: int

    @property
    def name(self) -> str:
        return tensor_name(self.role, self.layer)


class RawEntry(NamedTuple):
    """A table entry's fields in file order, as stored."""

    role: int
    dtype: int
    rank: int
    layer: int
    rows: int
    columns: int
    element_count: int
    offset: int
    payload_bytes: int
    checksum: int
    reserved: bytes


def tensor_name(role: Role, layer: int | None) -> str:
    """`wq of layer 3`, `tok_embeddings`."""
    return role.label if layer is None else f"{role.label} of layer {layer}"


def parse_tensors(view: Source, header: Header) -> tuple[Tensor, ...]:
    """The table's tensors, each checked against what the configuration implies. Raises FormatError."""
    specs = expected_tensors(header.config)
    tensors: list[Tensor] = []
    end, table = header.metadata_end, view[header.tensor_table_offset : header.tensor_table_end]
    for index, spec in enumerate(specs):
        where = f"tensor entry {index} at byte {header.tensor_table_offset + index * TENSOR_ENTRY_BYTES}"
        raw = RawEntry._make(ENTRY.unpack_from(table, index * TENSOR_ENTRY_BYTES))
        _check_identity(raw, spec, specs, where)
        tensors.append(_tensor(raw, spec, where))
        end = _check_payload(view, raw, end, f"payload of {tensor_name(spec.role, spec.layer)}")
    if end != header.file_bytes:
        raise refusal(FormatCode.TRAILING_BYTES, "end of the file", header.file_bytes, f"the last payload's end, {end}")
    return tuple(tensors)


def _check_identity(raw: RawEntry, spec: TensorSpec, specs: tuple[TensorSpec, ...], where: str) -> None:
    if raw.role not in _ROLES:
        raise refusal(FormatCode.UNKNOWN_ROLE, where, f"role {raw.role}", "a role of the format")
    if raw.dtype not in _DTYPES:
        raise refusal(FormatCode.UNKNOWN_DTYPE, where, f"dtype {raw.dtype}", "0 (f32), 1 (q8_0) or 2 (q4_0)")
    layer = None if raw.layer == GLOBAL_LAYER else raw.layer
    if (raw.role, layer) == (spec.role, spec.layer):
        return
    known = any((raw.role, layer) == (other.role, other.layer) for other in specs)
    raise refusal(
        FormatCode.TENSOR_ORDER if known else FormatCode.UNEXPECTED_TENSOR, where,
        tensor_name(_ROLES[raw.role], layer), tensor_name(spec.role, spec.layer))


def _tensor(raw: RawEntry, spec: TensorSpec, where: str) -> Tensor:
    """The entry as a tensor of the expected shape, with a type that its role allows."""
    where = f"{tensor_name(spec.role, spec.layer)}, {where}"
    if raw.rank != len(spec.shape):
        raise refusal(FormatCode.RANK_MISMATCH, where, f"rank {raw.rank}", f"rank {len(spec.shape)}")
    stored = (raw.rows, raw.columns)
    if stored != (*spec.shape, 1)[:2]:
        raise refusal(FormatCode.SHAPE_MISMATCH, where, f"shape {stored}", f"shape {(*spec.shape, 1)[:2]}")
    dtype = _DTYPES[raw.dtype]
    if dtype is not DType.F32 and not allows_quantisation(spec.shape):
        raise refusal(FormatCode.DTYPE_NOT_ALLOWED, where, dtype.label, f"f32 for shape {spec.shape}")
    _check_counts(raw, spec, dtype, where)
    return Tensor(spec.role, spec.layer, dtype, spec.shape, raw.offset, raw.payload_bytes, raw.checksum)


def _check_counts(raw: RawEntry, spec: TensorSpec, dtype: DType, where: str) -> None:
    if raw.element_count != prod(spec.shape):
        raise refusal(FormatCode.ELEMENT_COUNT_MISMATCH, where, f"{raw.element_count} elements", prod(spec.shape))
    size = payload_bytes(dtype, spec.shape)
    if raw.payload_bytes != size:
        raise refusal(FormatCode.PAYLOAD_SIZE_MISMATCH, where, f"{raw.payload_bytes} bytes", f"{size} bytes")
    if any(raw.reserved):
        raise refusal(FormatCode.RESERVED_NOT_ZERO, f"reserved bytes of {where}", raw.reserved.hex(), "zeros")


def _check_payload(view: Source, raw: RawEntry, previous_end: int, where: str) -> int:
    """The payload's end; it starts at the next multiple of 64 after `previous_end`, with zeros in between."""
    start = aligned(previous_end)
    if raw.offset % ALIGNMENT_BYTES:
        raise refusal(FormatCode.MISALIGNED_PAYLOAD, where, f"offset {raw.offset}", f"a multiple of {ALIGNMENT_BYTES}")
    if raw.offset < start:
        raise refusal(FormatCode.OVERLAPPING_PAYLOAD, where, f"offset {raw.offset}", f"offset {start}")
    if raw.offset > start:
        raise refusal(FormatCode.PAYLOAD_GAP, where, f"offset {raw.offset}", f"offset {start}")
    end = checked_extent(raw.offset, raw.payload_bytes, 1, len(view), where)
    check_padding(view, previous_end, start)
    return end
