"""Writes runtime/tinypylm/unicode_ranges.py from this interpreter's `unicodedata`.

    python -m tinypylm_tools.unicode_table runtime/tinypylm/unicode_ranges.py

Only an interpreter with the pinned Unicode version may write it, so that everybody gets the same table.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

UNICODE_VERSION = "16.0.0"
_TEXT_COLUMNS = 100

_TEMPLATE = '''"""Letters and numbers of Unicode {version}. Written by `tinypylm_tools.unicode_table`; do not edit.

Pinned, so that a text has the same tokens under every Python version and in the page.
"""

from __future__ import annotations

UNICODE_VERSION = "{version}"

# Distances in base 36: from the end of the previous range to the start of the next, then to its end.
LETTERS = (
{letters}
)
NUMBERS = (
{numbers}
)
'''


def main() -> None:
    if unicodedata.unidata_version != UNICODE_VERSION:
        sys.exit(f"This Python has Unicode {unicodedata.unidata_version}; the table needs {UNICODE_VERSION} (3.14).")
    Path(sys.argv[1]).write_text(source(), encoding="ascii")


def source() -> str:
    """The module's text."""
    return _TEMPLATE.format(version=UNICODE_VERSION, letters=_literal("L"), numbers=_literal("N"))


def ranges(category: str) -> Iterator[tuple[int, int]]:
    """First and last code point of each run whose general category starts with `category`."""
    members = (point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point))[0] == category)
    for _, run in groupby(enumerate(members), lambda pair: pair[1] - pair[0]):
        points = [point for _, point in run]
        yield points[0], points[-1]


def _literal(category: str) -> str:
    distances, previous = [], 0
    for first, last in ranges(category):
        distances += [_base36(first - previous), _base36(last - first)]
        previous = last
    lines, line = [], ""
    for distance in distances:
        if len(line) + len(distance) >= _TEXT_COLUMNS:
            lines.append(line)
            line = ""
        line += distance + " "
    return "\n".join(f'    "{line}"' for line in [*lines, line.rstrip()])


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (_base36(number // 36) if number >= 36 else "") + digits[number % 36]


if __name__ == "__main__":
    main()
