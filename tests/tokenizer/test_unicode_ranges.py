"""The pinned table of letters and numbers against this interpreter's `unicodedata`."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest

from tinypylm import pre_tokenizer, unicode_ranges
from tinypylm_tools import unicode_table


def test_every_character_that_this_python_knows_has_the_class_of_the_table() -> None:
    classes = {"L": "a", "N": "0"}
    for point in range(128, sys.maxunicode + 1):
        category = unicodedata.category(chr(point))
        known = pre_tokenizer._CLASSES[point]
        if category != "Cn" and (category[0] in classes or known in "a0"):
            assert classes.get(category[0]) == known or newer_than_the_table(), hex(point)


def newer_than_the_table() -> bool:
    return tuple(map(int, unicodedata.unidata_version.split("."))) > tuple(
        map(int, unicode_ranges.UNICODE_VERSION.split(".")))


def test_the_table_is_what_its_generator_writes() -> None:
    if unicodedata.unidata_version != unicode_table.UNICODE_VERSION:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}; the table needs Python 3.14")
    assert Path(unicode_ranges.__file__).read_text() == unicode_table.source()
