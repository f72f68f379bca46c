"""The interval of bits per byte: how often it holds what it is to hold."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")

from tinypylm_tools.training.measure import Score


def test_the_score_of_all_documents_is_the_ratio_of_their_sums() -> None:
    score = Score.of(np.array([1.0, 2.0, 6.0]) * log(2), np.array([2.0, 3.0, 5.0]))
    assert score.bits_per_byte == pytest.approx(9 / 10)
    assert score.high - score.bits_per_byte == pytest.approx(score.bits_per_byte - score.low)


def test_one_rate_for_all_leaves_no_doubt() -> None:
    sizes = np.array([10.0, 400.0, 35.0])
    score = Score.of(0.7 * log(2) * sizes, sizes)
    assert (score.low, score.high) == pytest.approx((0.7, 0.7))


def test_nineteen_of_twenty_intervals_hold_the_rate_that_the_documents_were_drawn_with() -> None:
    """Documents of random sizes and rates around 0.7: 2,000 samples of 200 each."""
    random, held = np.random.default_rng(11), 0
    for _ in range(2000):
        sizes = random.integers(100, 2000, 200).astype(float)
        nats = sizes * random.normal(0.7, 0.15, 200) * log(2)
        score = Score.of(nats, sizes)
        held += score.low <= 0.7 <= score.high
    assert held == pytest.approx(1900, abs=50)
