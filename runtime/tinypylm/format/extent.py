"""Sizes and places inside a file: every sum of an offset and a size goes through here."""

from __future__ import annotations

from tinypylm.format.codes import FormatCode, refusal

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


def check_padding(data: memoryview, start: int, end: int) -> None:
    """Bytes start..end between two sections are zero."""
    if any(data[start:end]):
        bad = start + next(i for i, byte in enumerate(data[start:end]) if byte)
        raise refusal(FormatCode.PADDING_NOT_ZERO, f"padding at byte {bad}", f"0x{data[bad]:02x}", "0x00")
