"""tests/corrupt/ as it lies in the tree: complete, reproducible, and refused file by file."""

from __future__ import annotations

import pytest

from tests.format.broken_files import broken_files
from tests.format.corpus import FOLDER, INDEX, SUFFIX, corpus, index
from tests.format.costs import checked_verdict
from tinypylm import canonical
from tinypylm.format import FormatCode

CODES = canonical.loads((FOLDER / INDEX).read_bytes())
assert isinstance(CODES, dict)


def test_the_folder_holds_exactly_what_the_generator_writes() -> None:
    files = corpus()
    assert {path.name for path in FOLDER.iterdir()} == {INDEX, *(name + SUFFIX for name in files)}
    for name, (_, data) in files.items():
        assert (FOLDER / (name + SUFFIX)).read_bytes() == data, name
    assert (FOLDER / INDEX).read_bytes() == index(files)


def test_every_way_to_break_a_rule_has_a_file_of_its_own() -> None:
    assert len(CODES) == len(broken_files())


def test_every_code_has_a_file() -> None:
    assert set(CODES.values()) == set(FormatCode)


def test_the_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 500_000


@pytest.mark.parametrize("name", CODES)
def test_a_file_is_refused_with_the_code_in_the_index(name: str) -> None:
    assert checked_verdict((FOLDER / (name + SUFFIX)).read_bytes()) == CODES[name]
