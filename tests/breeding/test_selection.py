"""Which elements stay: against Python's own sort, with many ties."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypylm_tools.breeding.selection import between, largest, ranked, share

PPM = st.integers(1, 1_000_000)
TIED = st.lists(st.sampled_from([0.0, 0.0, 1.0, 1.0, 2.0, 2.5]), min_size=1, max_size=200)


def order(magnitudes: list[float]) -> list[int]:
    return sorted(range(len(magnitudes)), key=lambda index: (-magnitudes[index], index))


@given(TIED, st.integers(0, 220))
def test_the_largest_are_the_first_of_the_order_that_are_not_zero(magnitudes: list[float], count: int) -> None:
    expected = [index for index in order(magnitudes)[:count] if magnitudes[index]]
    assert np.flatnonzero(largest(np.array(magnitudes), count)).tolist() == sorted(expected)


@pytest.mark.parametrize("ppm", [1, 10, 4_999, 5_000, 333_333, 500_000, 999_999, 1_000_000])
def test_exactly_the_share_is_kept_of_every_size_up_to_200_even_of_equal_magnitudes(ppm: int) -> None:
    for size in range(1, 201):
        assert share(size, ppm) == ceil(Fraction(size * ppm, 1_000_000))
        kept = largest(np.ones(size), share(size, ppm))
        assert np.flatnonzero(kept).tolist() == list(range(share(size, ppm)))


@given(TIED, PPM, PPM)
def test_what_is_kept_at_a_lower_rate_is_kept_at_a_higher_one(magnitudes: list[float], one: int, other: int) -> None:
    lower, higher = (
        largest(np.array(magnitudes), share(len(magnitudes), ppm)) for ppm in sorted((one, other)))
    assert not (lower & ~higher).any()


@given(TIED, st.integers(0, 200), st.integers(0, 200))
def test_the_middle_of_the_order_is_without_outliers_and_without_crumbs(
    magnitudes: list[float], below: int, count: int
) -> None:
    below = min(below, len(magnitudes))
    count = min(count, len(magnitudes) - below)
    head = len(magnitudes) - below
    expected = [index for index in order(magnitudes)[head - count : head] if magnitudes[index]]
    assert np.flatnonzero(between(np.array(magnitudes), below, count)).tolist() == sorted(expected)


@given(TIED)
def test_ranks_are_those_of_the_order(magnitudes: list[float]) -> None:
    assert ranked(np.array(magnitudes)).tolist() == order(magnitudes)
