"""Intervals and paired tests, against published figures and against the definition."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.provenance.statistics import PPM, is_shown, mcnemar_ppm, wilson_ppm


@pytest.mark.parametrize(("passed", "count", "low", "high"), [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
])
def test_wilson_intervals_are_those_of_newcombe_1998_table_i_method_3(
    passed: int, count: int, low: float, high: float
) -> None:
    found_low, found_high = wilson_ppm(passed, count)
    assert found_low / PPM == pytest.approx(low, abs=6e-5)
    assert found_high / PPM == pytest.approx(high, abs=6e-5)


@given(st.integers(1, 4096).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_share_and_is_symmetric(counts: tuple[int, int]) -> None:
    passed, count = counts
    low, high = wilson_ppm(passed, count)
    assert 0 <= low <= Fraction(passed * PPM, count) <= high <= PPM
    assert (PPM - high, PPM - low) == wilson_ppm(count - passed, count)


@pytest.mark.parametrize(("one", "other", "ppm"), [
    (0, 0, 1_000_000), (1, 9, 21_485), (9, 1, 21_485), (0, 5, 62_500), (0, 6, 31_250), (5, 5, 1_000_000),
    (0, 4096, 1),
])
def test_mcnemar_is_the_exact_two_sided_binomial(one: int, other: int, ppm: int) -> None:
    assert mcnemar_ppm(one, other) == ppm


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_counts_every_outcome_as_extreme_as_the_one_seen(one: int, other: int) -> None:
    count = one + other
    extreme = sum(comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= abs(one - other))
    probability = Fraction(extreme, 2**count)
    assert mcnemar_ppm(one, other) == -(-probability.numerator * PPM // probability.denominator)
    assert is_shown(one, other) == (probability <= Fraction(1, 40))
