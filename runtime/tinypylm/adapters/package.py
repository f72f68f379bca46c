"""Adapter packages as bytes: ADP1, ASP1 and ALR1 share one header and one table. `parse_package` is the one entrance.

The byte layout is in `docs/adapters.md`. Packages are written by `tinypylm_tools.adapters.writer`.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from tinypylm.adapters.base import BaseFacts
from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.adapters.entries import ENTRY_BYTES, Entry, PackageFormat, parse_entries
from tinypylm.hosts import Buffer

VERSION = 1
HEADER = struct.Struct("<4sHH4I32s8IfI12sI")
HEADER_BYTES = HEADER.size
CHECKSUM_OFFSET = 108
STACK_BYTE_BUDGET = 1_048_576
"""The packages that are applied to one base have at most so many bytes together."""

KEEP_ALL_PPM = 1_000_000


class RawHeader(NamedTuple):
    """The header's fields in order, as stored."""

    magic: bytes
    version: int
    header_bytes: int
    package_bytes: int
    entry_count: int
    layout_checksum: int
    tokenizer_checksum: int
    base_sha256: bytes
    tensor_count: int
    vocab_size: int
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn_size: int
    scale: float
    keep_ppm: int
    reserved: bytes
    checksum: int


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose own bytes keep every rule; whether it is for a base says `check_base`."""

    format: PackageFormat
    base: BaseFacts
    scale: float
    keep_ppm: int
    entries: tuple[Entry, ...]
    package_bytes: int
    checksum: int
    view: memoryview

    @property
    def sha256(self) -> str:
        """Of the whole package."""
        return hashlib.sha256(self.view).hexdigest()


def parse_package(data: Buffer) -> Package:
    """The package in `data`. Raises AdapterError, and nothing else, on any other bytes.

    No value is copied: an entry's payload is a view of `data`, which must not change while the package is in use.
    """
    view = memoryview(data).cast("B").toreadonly()
    raw, kind = _header(view)
    _check_numbers(raw, kind)
    base = BaseFacts(raw.tensor_count, raw[9:16], raw.layout_checksum, raw.tokenizer_checksum, raw.base_sha256)
    entries = parse_entries(view[HEADER_BYTES:], raw.entry_count, kind, raw.keep_ppm)
    return Package(kind, base, raw.scale, raw.keep_ppm, entries, raw.package_bytes, raw.checksum, view)


def package_checksum(view: memoryview) -> int:
    """CRC-32 of the package with the checksum field as zero; never 0 (stored as 0xFFFFFFFF)."""
    crc = zlib.crc32(bytes(4), zlib.crc32(view[:CHECKSUM_OFFSET]))
    return zlib.crc32(view[CHECKSUM_OFFSET + 4 :], crc) or 0xFFFF_FFFF


def _header(view: memoryview) -> tuple[RawHeader, PackageFormat]:
    if len(view) < HEADER_BYTES:
        raise refusal(AdapterCode.TRUNCATED, "package", f"{len(view)} bytes", f"at least {HEADER_BYTES} bytes")
    raw = RawHeader._make(HEADER.unpack_from(view))
    known = {kind.encode(): kind for kind in PackageFormat}
    _expect(raw.magic in known, AdapterCode.MAGIC, "magic at byte 0", raw.magic, "ADP1, ASP1 or ALR1")
    _expect(raw.version == VERSION, AdapterCode.VERSION, "version at byte 4", raw.version, VERSION)
    _expect(raw.header_bytes == HEADER_BYTES, AdapterCode.HEADER_SIZE, "header_bytes at byte 6", raw.header_bytes,
            HEADER_BYTES)
    _expect(raw.package_bytes <= STACK_BYTE_BUDGET, AdapterCode.TOO_LARGE, "package_bytes at byte 8",
            raw.package_bytes, f"at most {STACK_BYTE_BUDGET}")
    _expect(len(view) == raw.package_bytes, AdapterCode.SIZE_MISMATCH, "package", f"{len(view)} bytes",
            f"{raw.package_bytes}, which the header states")
    _expect(raw.checksum != 0, AdapterCode.ZERO_CHECKSUM, "checksum at byte 108", 0, "a number that is not zero")
    checksum = package_checksum(view)
    _expect(checksum == raw.checksum, AdapterCode.CHECKSUM_MISMATCH, "CRC-32 of the package", f"0x{checksum:08x}",
            f"0x{raw.checksum:08x}, which the header states")
    return raw, known[raw.magic]


def _check_numbers(raw: RawHeader, kind: PackageFormat) -> None:
    _expect(not any(raw.reserved), AdapterCode.RESERVED_NOT_ZERO, "bytes 96 to 107", raw.reserved.hex(), "zeros")
    _expect(math.isfinite(raw.scale) and raw.scale != 0, AdapterCode.SCALE_INVALID, "scale at byte 88", str(raw.scale),
            "a finite number that is not zero")
    sparse = kind is PackageFormat.ASP1
    _expect(1 <= raw.keep_ppm <= KEEP_ALL_PPM if sparse else raw.keep_ppm == 0, AdapterCode.KEEP_RATE_INVALID,
            "keep_ppm at byte 92", raw.keep_ppm, f"1 to {KEEP_ALL_PPM}" if sparse else f"0 in {kind}")
    _expect(raw.entry_count > 0, AdapterCode.NO_ENTRIES, "entry_count at byte 12", 0, "at least 1")
    room = raw.package_bytes - HEADER_BYTES
    _expect(raw.entry_count * ENTRY_BYTES <= room, AdapterCode.PAYLOAD_TRUNCATED, "table of entries",
            f"{raw.entry_count} entries", f"at most {room // ENTRY_BYTES}, which have room")


def _expect(holds: bool, code: AdapterCode, where: str, found: object, expected: object) -> None:
    if not holds:
        raise refusal(code, where, found, expected)
