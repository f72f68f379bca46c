"""Sums and angles with the same bits on every machine: a fixed order of additions, and no libm.

`numpy.sum` and `numpy.dot` add in an order that depends on the processor; these do not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from math import sqrt

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
_AT_ONCE = 1 << 16
_DIGITS = 50


def fold(values: F64) -> float:
    """The sum of `values`, which are overwritten: the second half is added onto the first until one is left."""
    size = values.size
    while size > 1:
        half = (size + 1) // 2
        values[: size - half] += values[half:size]
        size = half
    return float(values[0]) if size else 0.0


def dot(a: F64, b: F64) -> float:
    """sum(a * b): folded 65,536 elements at a time, and those sums added in order."""
    total = 0.0
    for start in range(0, a.size, _AT_ONCE):
        total += fold(a[start : start + _AT_ONCE] * b[start : start + _AT_ONCE])
    return total


def norm(a: F64) -> float:
    return sqrt(dot(a, a))


def cosine(a: F64, b: F64) -> float:
    """dot(a, b) / (norm(a) * norm(b)), clipped to -1..1; 0 where one of them is zero."""
    lengths = norm(a) * norm(b)
    return max(-1.0, min(1.0, dot(a, b) / lengths)) if lengths else 0.0


def arc_weights(cos: float, t: float) -> tuple[float, float]:
    """sin((1 - t) w) / sin(w) and sin(t w) / sin(w), where cos(w) = cos, which is inside -1..1.

    Shoemake, "Animating rotation with quaternion curves", 1985; to 50 digits, then rounded once.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        c, part = Decimal(cos), Decimal(t)
        angle = 2 * _arctan(((1 - c) / (1 + c)).sqrt())
        sine = _sin(angle)
        return float(_sin((1 - part) * angle) / sine), float(_sin(part * angle) / sine)


def _arctan(x: Decimal) -> Decimal:
    """atan(x) for x >= 0, halving the angle until the series is short."""
    halvings = 0
    while x > Decimal("0.1"):
        x = x / (1 + (1 + x * x).sqrt())
        halvings += 1
    return Decimal(2**halvings) * _series(x, lambda power, n: power / n, 1, -x * x)


def _sin(x: Decimal) -> Decimal:
    """sin(x) by its power series, for an angle of at most pi."""
    total, term, n = x, x, 1
    while abs(term) > Decimal(10) ** -_DIGITS:
        term *= -x * x / ((n + 1) * (n + 2))
        total, n = total + term, n + 2
    return total


def _series(power: Decimal, term: Callable[[Decimal, int], Decimal], n: int, ratio: Decimal) -> Decimal:
    """The sum of term(power, n), where power grows by `ratio` and n by 2, down to the last digit."""
    total = Decimal(0)
    while abs(power) > Decimal(10) ** -_DIGITS:
        total, power, n = total + term(power, n), power * ratio, n + 2
    return total
