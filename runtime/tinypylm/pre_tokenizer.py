"""Text to pieces: no merge ever crosses the border of a piece.

Characters are first reduced to a class string of the same length, so that GPT-2's pattern needs neither `unicodedata`
nor Unicode classes in `re`, and cuts alike under every Python version.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from tinypylm.format import PreTokenizer
from tinypylm.unicode_ranges import LETTERS, NUMBERS

# Unicode's White_Space beyond ASCII, as \s in the patterns that models were trained with.
_WHITE_SPACE = frozenset((0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))

# The pattern of GPT-2's encoder.py, 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+,
# on class strings.
_GPT2 = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
_SINGLE_DIGITS = re.compile(r"[0-9]|[^0-9]+")


def pieces(text: str, kind: PreTokenizer) -> Iterator[str]:
    """The pieces of `text`, in order; together they are the text (for SPACE_PREFIX, with a space in front)."""
    match kind:
        case PreTokenizer.GPT2:
            yield from _gpt2(text)
        case PreTokenizer.GPT2_SINGLE_DIGITS:
            yield from _single_digits(text)
        case PreTokenizer.SPACE_PREFIX if text:
            yield " " + text
        case _ if text:
            yield text


def _gpt2(text: str) -> Iterator[str]:
    for match in _GPT2.finditer(text.translate(_CLASSES)):
        yield text[match.start() : match.end()]


def _single_digits(text: str) -> Iterator[str]:
    """Each number character alone, and GPT-2's pattern on what stands between them."""
    for match in _SINGLE_DIGITS.finditer(text.translate(_CLASSES)):
        yield from _gpt2(text[match.start() : match.end()])


class _Classes(dict[int, str]):
    """Code point to class: ASCII is itself; else a letter is `a`, a number `0`, white space a tab, the rest `!`."""

    def __missing__(self, point: int) -> str:
        if bisect_right(_LETTER_BORDERS, point) % 2:
            return "a"
        if bisect_right(_NUMBER_BORDERS, point) % 2:
            return "0"
        return "\t" if point in _WHITE_SPACE else "!"


def _borders(distances: str) -> list[int]:
    """First code point inside, first outside, first inside, ...: a code point after an odd number of them is inside."""
    borders: list[int] = []
    last = 0
    numbers = [int(distance, 36) for distance in distances.split()]
    for gap, length in zip(numbers[0::2], numbers[1::2], strict=True):
        borders += [last + gap, last + gap + length + 1]
        last += gap + length
    return borders


_LETTER_BORDERS = _borders(LETTERS)
_NUMBER_BORDERS = _borders(NUMBERS)
_CLASSES = _Classes({point: chr(point) for point in range(128)})
