"""The candidate scan and the sum over the vocabulary, against sorting and adding in NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.bench import Workbench
from tests.reference import kernels as reference
from tinypylm.kernels import log_sum_exp, sampling
from tinypylm.memory import segment_count, sums_offset


class Scan:
    """The compiled scan over n logits."""

    def __init__(self, n: int):
        self.n, self.bench = n, Workbench()
        b = self.bench
        self.logits, self.seen, self.out = b.room(4 * n + 16), b.room(n + 16), b.room(16 + 12 * (n + 3))
        self.segments, self.count = b.room(2 * sums_offset(n)), segment_count(n)
        sift = b.add(sampling.sift, "sift")
        adjusted = b.add(sampling.adjusted, "adjusted")
        offer = b.add(sampling.offer, "offer", sift=sift, adjusted=adjusted)
        b.add(log_sum_exp.summarise, "summarise", n=n)
        total = b.add(log_sum_exp.log_sum_exp, "log_sum_exp", segments=segment_count(n))
        b.add(sampling.candidates, n=n, logits_at=self.logits, seen_at=self.seen, segments_at=self.segments,
              out_at=self.out, sift=sift, adjusted=adjusted, offer=offer, log_sum_exp=total)
        b.start()

    def run(self, logits: np.ndarray, seen: set[int], k: int, temperature: float, penalty: float):
        marks = np.zeros(self.n, np.uint8)
        marks[list(seen)] = 1
        self.bench.instance.write(self.logits, logits.astype(np.float32).tobytes())
        self.bench.instance.write(self.seen, marks.tobytes())
        self.summarise(0, self.count)
        total = self.bench.run(k, temperature, penalty)
        padded = -(-k // 4) * 4
        at = [self.out + 16 + 4 * padded * i for i in range(3)]
        return self.bench.read(at[0], k, np.int32), self.bench.read(at[1], k), self.bench.read(at[2], k), total

    def summarise(self, first: int, end: int) -> None:
        sums = self.segments + sums_offset(self.n)
        self.bench.run(self.logits, self.segments, sums, first, end, name="summarise")

    def check(self, logits: np.ndarray, seen: set[int], k: int, temperature: float, penalty: float) -> None:
        ids, best, weights, total = self.run(logits, seen, k, temperature, penalty)
        wanted = reference.candidates(logits.astype(np.float32), seen, k, temperature, penalty)
        np.testing.assert_array_equal(ids, wanted[0])
        np.testing.assert_array_equal(best, wanted[1])
        np.testing.assert_allclose(weights, wanted[2], rtol=1e-5, atol=1e-37)
        assert total == pytest.approx(wanted[3], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 258, 512, 513, 1027, 2048])
def test_the_best_come_first_whatever_the_size(n: int) -> None:
    scan, rng = Scan(n), np.random.default_rng(n)
    for k in {1, min(2, n), n // 2 or 1, n - 1 or 1, n}:
        seen = set(rng.choice(n, n // 3, replace=False).tolist())
        scan.check(rng.standard_normal(n) * 5, seen, k, temperature=0.7, penalty=1.3)
        scan.check(rng.standard_normal(n) * 5, seen, k, temperature=2.0, penalty=0.8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=19, max_size=19), st.integers(1, 19), st.sets(st.integers(0, 18)))
def test_ties_go_to_the_smaller_id(values: list[int], k: int, seen: set[int]) -> None:
    _TIES.check(np.array(values, np.float32), seen, k, temperature=1.0, penalty=1.5)


_TIES = Scan(19)


def test_without_a_penalty_seen_tokens_stay_as_they_are() -> None:
    scan = Scan(50)
    logits = np.random.default_rng(5).standard_normal(50)
    scan.check(logits, set(range(50)), 10, temperature=1.0, penalty=1.0)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 2.0])
def test_tokens_are_found_in_every_segment(penalty: float) -> None:
    """Also where a seen token's logit is not its segment's largest, but becomes so."""
    scan, rng = Scan(2600), np.random.default_rng(8)
    for place in (0, 511, 512, 1023, 1024, 2047, 2048, 2599):
        logits = rng.standard_normal(2600)
        logits[place] = 9.0
        scan.check(logits, {place, (place + 7) % 2600}, 3, temperature=1.0, penalty=penalty)
        logits[place] = 3.0
        scan.check(logits, {place}, 1, temperature=1.0, penalty=penalty)


def test_the_sum_is_the_same_however_threads_divide_the_segments() -> None:
    scan = Scan(2602)
    logits = np.random.default_rng(9).standard_normal(2602) * 4
    *_, whole = scan.run(logits, set(), 1, 1.0, 1.0)
    for edges in ([0, 1, 6], [0, 2, 4, 5, 6], [0, 6, 6]):
        scan.bench.instance.write(scan.segments, bytes(2 * sums_offset(2602)))
        for first, end in reversed(list(pairwise(edges))):
            scan.summarise(first, end)
        assert scan.bench.run(1, 1.0, 1.0) == whole


@pytest.mark.parametrize("n", [3, 16, 39, 530])
def test_the_largest_logit_is_found_wherever_it_stands(n: int) -> None:
    """Exponentials of differences from any other one would be infinite."""
    scan = Scan(n)
    for place in range(n):
        logits = np.full(n, -100, np.float32)
        logits[place] = 100
        *_, total = scan.run(logits, set(), 1, 1.0, 1.0)
        assert total == 100


@pytest.mark.parametrize("n", [1, 513, 1027])
def test_logits_may_all_be_low(n: int) -> None:
    """Zeros where no segment is would be far above them, and their exponentials nothing."""
    scan = Scan(n)
    scan.check(np.linspace(-300, -299, n), set(), 1, temperature=1.0, penalty=1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 5, 10, 15, 255, 511, 512, 770 - 1])
def test_a_logit_that_is_not_finite_shows_in_the_total(bad: float, place: int) -> None:
    scan = Scan(770)
    logits = np.zeros(770, np.float32)
    logits[place] = bad
    *_, total = scan.run(logits, set(), 5, 1.0, 1.0)
    assert np.isnan(total)
