"""The table of a package, and its payloads: which tensors change, and the numbers that change them.

Values are judged with operations on whole arrays of the standard library: a package has up to 87,000 pairs, and this
also runs in a browser.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from operator import ge

from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.config import Role
from tinypylm.format.tensors import GLOBAL_LAYER, tensor_name
from tinypylm.format.values import first_not_finite

ENTRY = struct.Struct("<HHIIIQ")
ENTRY_BYTES = ENTRY.size
PAIR_BYTES = 12
MOST_ELEMENTS = 67_108_864  # a file of 32 MiB holds no larger tensor, at four bits a weight
_PPM = 1_000_000
_ROLES = {int(role): role for role in Role}
_ZEROS = (0, 0x8000_0000)


class PackageFormat(StrEnum):
    """ADP1: dense deltas. ASP1: (index, delta) pairs. ALR1: factors of low rank. The value is the magic."""

    ADP1 = "ADP1"
    ASP1 = "ASP1"
    ALR1 = "ALR1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor's change. `rank` is 0 but in ALR1; `count` numbers (ASP1: pairs) lie in `payload`."""

    role: Role
    layer: int | None
    rows: int
    columns: int
    rank: int
    count: int
    payload: memoryview

    @property
    def name(self) -> str:
        return tensor_name(self.role, self.layer)

    @property
    def elements(self) -> int:
        return self.rows * self.columns

    def pairs_between(self, first: int, end: int) -> tuple[int, int]:
        """The numbers of those pairs of an ASP1 entry whose indices are in first .. end - 1."""
        pairs = range(self.count)
        return bisect_left(pairs, first, key=self._index), bisect_left(pairs, end, key=self._index)

    def _index(self, pair: int) -> int:
        return int.from_bytes(self.payload[PAIR_BYTES * pair :][:8], "little")


def parse_entries(body: memoryview, count: int, kind: PackageFormat, keep_ppm: int) -> tuple[Entry, ...]:
    """The entries that `body` (all behind the header) starts with, and their payloads up to its end."""
    entries: list[Entry] = []
    at, before = count * ENTRY_BYTES, (-1, -1)
    for number in range(count):
        role, rank, layer, rows, columns, values = ENTRY.unpack_from(body, number * ENTRY_BYTES)
        where = f"entry {number}"
        if role not in _ROLES:
            raise refusal(AdapterCode.UNKNOWN_ROLE, where, f"role {role}", "a role of the format")
        place = (-1 if layer == GLOBAL_LAYER else layer, role)
        if place <= before:
            raise refusal(AdapterCode.ENTRY_ORDER, where, f"role {role} of layer {layer}",
                          "a tensor behind that of the entry before it")
        before, end = place, at + _payload_bytes(kind, values)
        entry = Entry(_ROLES[role], None if layer == GLOBAL_LAYER else layer, rows, columns, rank, values, body[at:end])
        _check_entry(entry, kind, keep_ppm, where)
        _check_payload(entry, kind, where, end - at)
        entries.append(entry)
        at = end
    if at != len(body):
        raise refusal(AdapterCode.TRAILING_BYTES, "end of the package", f"{len(body) - at} bytes more",
                      "nothing behind the last payload")
    return tuple(entries)


def _payload_bytes(kind: PackageFormat, count: int) -> int:
    return count * (PAIR_BYTES if kind is PackageFormat.ASP1 else 4)


def _check_entry(entry: Entry, kind: PackageFormat, keep_ppm: int, where: str) -> None:
    where = f"{where}, {entry.name}"
    if not 1 <= entry.elements <= MOST_ELEMENTS:
        raise refusal(AdapterCode.SHAPE_INVALID, where, f"shape ({entry.rows}, {entry.columns})",
                      f"1 to {MOST_ELEMENTS} elements")
    low_rank, most = kind is PackageFormat.ALR1, min(entry.rows, entry.columns)
    if (entry.rank > 0) is not low_rank:
        raise refusal(AdapterCode.RANK_INVALID, where, f"rank {entry.rank}",
                      "at least 1" if low_rank else f"0 in {kind}")
    if entry.rank > most:
        raise refusal(AdapterCode.RANK_TOO_LARGE, where, f"rank {entry.rank}", f"at most {most}")
    if kind is PackageFormat.ASP1:
        _check_pair_count(entry, keep_ppm, where)
        return
    expected = entry.rank * (entry.rows + entry.columns) if low_rank else entry.elements
    if entry.count != expected:
        raise refusal(AdapterCode.VALUE_COUNT, where, f"{entry.count} values", expected)


def _check_pair_count(entry: Entry, keep_ppm: int, where: str) -> None:
    if not 1 <= entry.count <= entry.elements:
        raise refusal(AdapterCode.VALUE_COUNT, where, f"{entry.count} pairs", f"1 to {entry.elements}")
    most = -(-entry.elements * keep_ppm // _PPM)
    if entry.count > most:
        raise refusal(AdapterCode.KEEP_RATE_EXCEEDED, where, f"{entry.count} pairs",
                      f"at most {most}, which is {keep_ppm} ppm of {entry.elements}, rounded up")


def _check_payload(entry: Entry, kind: PackageFormat, where: str, size: int) -> None:
    where = f"{where}, {entry.name}"
    if len(entry.payload) < size:
        raise refusal(AdapterCode.PAYLOAD_TRUNCATED, where, f"{len(entry.payload)} bytes", f"{size} bytes")
    if kind is PackageFormat.ASP1:
        _check_pairs(entry, where)
    else:
        _check_finite(entry.payload, where)


def _check_finite(values: memoryview, where: str) -> None:
    bad = first_not_finite(values)
    if bad is not None:
        raise refusal(AdapterCode.NOT_FINITE, f"{where}, value {bad}", bytes(values[4 * bad : 4 * bad + 4]).hex(),
                      "a finite f32")


def _check_pairs(entry: Entry, where: str) -> None:
    words = _words(entry.payload)
    indices, deltas = words[0::3], words[2::3]
    if any(words[1::3]):
        raise refusal(AdapterCode.INDEX_OUT_OF_RANGE, where, "an index of 2^32 or more", f"below {entry.elements}")
    if any(map(ge, indices, islice(indices, 1, None))):
        number = next(i for i in range(len(indices)) if indices[i] >= indices[i + 1])
        raise refusal(AdapterCode.INDEX_ORDER, f"{where}, pair {number + 1}", indices[number + 1],
                      f"above {indices[number]}, the index before it")
    if indices[-1] >= entry.elements:
        raise refusal(AdapterCode.INDEX_OUT_OF_RANGE, where, indices[-1], f"below {entry.elements}")
    _check_finite(memoryview(_little_endian(deltas)).cast("B"), where)
    if any(zero in deltas for zero in _ZEROS):
        raise refusal(AdapterCode.ZERO_DELTA, where, "a delta of 0", "a pair only where something changes")


def _words(payload: memoryview) -> array[int]:
    return _little_endian(array("I", bytes(payload)))


def _little_endian(words: array[int]) -> array[int]:
    """The same words in this machine's order, or back in the file's."""
    if sys.byteorder == "big":
        words = array("I", words)
        words.byteswap()
    return words
