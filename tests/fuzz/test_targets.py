"""The targets hold on their seeds, so that a fuzzer starts from what works."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds, write_seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_on_every_seed(target: str) -> None:
    inputs = seeds(target)
    assert len(inputs) > 10
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=300))
def test_a_target_holds_on_any_bytes(target: str, data: bytes) -> None:
    TARGETS[target](data)


def test_seeds_are_the_same_files_each_time(tmp_path: Path) -> None:
    write_seeds("canonical", tmp_path)
    first = sorted(tmp_path.iterdir())
    write_seeds("canonical", tmp_path)
    assert sorted(tmp_path.iterdir()) == first
    assert {path.read_bytes() for path in first} == set(seeds("canonical"))
