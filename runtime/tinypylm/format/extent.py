"""Sizes and places inside a file: every sum of an offset and a size goes through here."""

from __future__ import annotations

from tinypylm.format.codes import FormatCode, refusal
from tinypylm.source import Source

MODEL_BYTE_BUDGET = 33_554_432


def checked_extent(offset: int, count: int, unit: int, limit: int, where: str = "section") -> int:
    """offset + count * unit, in exact integers.

    Raises FormatError(EXTENT_OUT_OF_FILE) where the end lies past `limit`, or any of the numbers is negative.
    """
    end = offset + count * unit
    if min(offset, count, unit) < 0 or end > limit:
        raise refusal(FormatCode.EXTENT_OUT_OF_FILE, f"{where} at byte {offset}", f"an end at byte {end}",
                      f"an end within {limit} bytes")
    return end


def check_padding(data: Source, start: int, end: int) -> None:
    """Bytes start..end between two sections are zero."""
    padding = data[start:end]
    if any(padding):
        at = next(i for i, byte in enumerate(padding) if byte)
        raise refusal(FormatCode.PADDING_NOT_ZERO, f"padding at byte {start + at}", f"0x{padding[at]:02x}", "0x00")
