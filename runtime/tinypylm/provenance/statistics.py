"""Proportions and paired counts, in integers: the same digits on every machine."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from math import comb

PPM = 1_000_000
_Z = Decimal("1.96")
_DIGITS = 60
_SIGNIFICANT = 40
"""A probability of at most one in forty is taken as shown: a verdict rests on two tests, over cases and over documents,
which together shall find a difference that is none at most once in twenty times (Bonferroni's inequality)."""


def wilson_ppm(passed: int, count: int) -> tuple[int, int]:
    """The 95 % interval of a proportion (Wilson, 1927), rounded outwards; z = 1.96 and count >= 1."""
    with localcontext() as context:
        context.prec = _DIGITS
        square = _Z * _Z
        spread = _Z * (Decimal(passed * (count - passed)) / count + square / 4).sqrt()
        low, high = (PPM * (passed + square / 2 + sign * spread) / (count + square) for sign in (-1, 1))
        return (max(0, int(low.to_integral_value(ROUND_FLOOR))),
                min(PPM, int(high.to_integral_value(ROUND_CEILING))))


def mcnemar_ppm(one: int, other: int) -> int:
    """min(1, 2 P(X <= min(one, other))) for X ~ B(one + other, 1/2), rounded up: the exact two-sided test."""
    tail, total = _tail(one, other)
    return min(PPM, -(-PPM * tail // total))


def is_shown(one: int, other: int) -> bool:
    """Whether that probability is at most 0.025, compared without rounding."""
    tail, total = _tail(one, other)
    return tail * _SIGNIFICANT <= total


def _tail(one: int, other: int) -> tuple[int, int]:
    count = one + other
    return 2 * sum(comb(count, chosen) for chosen in range(min(one, other) + 1)), 1 << count
