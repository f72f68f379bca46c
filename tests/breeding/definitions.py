"""The operators once more, from their words, one element at a time in Python's floats: an oracle without NumPy."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

Floats = list[float]
PPM = 1_000_000


def f32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def digest(number: int) -> bytes:
    return bytes([number + 1]) * 32


def word(domain: str, seed: int, parent: int, element: int) -> int:
    """Word `element` for wq of layer 3 of this parent."""
    parts = (f"slm/breed/{domain}/v1".encode(), struct.pack("<Q", seed), digest(parent), struct.pack("<HI", 18, 3))
    text = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return int(struct.unpack_from("<I", hashlib.shake_256(text).digest(4 * element + 4), 4 * element)[0])


def deltas_of(base: Floats, parents: Sequence[Floats]) -> list[Floats]:
    return [[value - before for value, before in zip(parent, base, strict=True)] for parent in parents]


def in_order(values: Floats) -> list[int]:
    return sorted(range(len(values)), key=lambda index: (-abs(values[index]), index))


def task_delta(base: Floats, deltas: list[Floats], weights: list[int]) -> Floats:
    result = []
    for index, before in enumerate(base):
        total = 0.0
        for delta, weight in zip(deltas, weights, strict=True):
            total += weight / PPM * delta[index]
        result.append(f32(before + total))
    return result


def federated(base: Floats, deltas: list[Floats], weights: list[int]) -> Floats:
    result = []
    for index, before in enumerate(base):
        total = 0.0
        for delta, weight in zip(deltas, weights, strict=True):
            total += weight * delta[index]
        result.append(f32(before + total / PPM))
    return result


def trimmed(delta: Floats, keep: int) -> Floats:
    kept = set(in_order(delta)[: math.ceil(Fraction(len(delta) * keep, PPM))])
    return [value if index in kept else 0.0 for index, value in enumerate(delta)]


def dropped(delta: Floats, keep: int, seed: int, parent: int) -> Floats:
    limit = keep * 2**32 // PPM
    return [value * 1e6 / keep if word("dare", seed, parent, index) < limit else 0.0
            for index, value in enumerate(delta)]


def ranked_out(delta: Floats, keep: int, floor: int, seed: int, parent: int) -> Floats:
    high, last = 2 * keep - floor, max(1, len(delta) - 1)
    result = [0.0] * len(delta)
    for rank, index in enumerate(in_order(delta)):
        chance = high - (high - floor) * rank // last
        if word("della", seed, parent, index) < chance * 2**32 // PPM:
            result[index] = delta[index] * 1e6 / chance
    return result


def middle(delta: Floats, keep: int, floor: int) -> Floats:
    head = len(delta) - len(delta) * floor // PPM
    count = min(math.ceil(Fraction(len(delta) * keep, PPM)), head)
    kept = set(in_order(delta)[head - count : head])
    return [value if index in kept else 0.0 for index, value in enumerate(delta)]


def merged(base: Floats, deltas: list[Floats], weights: list[int]) -> Floats:
    result = []
    for index, before in enumerate(base):
        votes = 0.0
        for delta, weight in zip(deltas, weights, strict=True):
            votes += weight * delta[index]
        members = [(delta[index], weight) for delta, weight in zip(deltas, weights, strict=True)
                   if votes and delta[index] and (delta[index] > 0) == (votes > 0)]
        above = below = 0.0
        for value, weight in members:
            above, below = above + weight * value, below + weight
        result.append(f32(before + (above / below if members else 0.0)))
    return result


def pruned(values: Floats, keep: int, floor: int) -> Floats:
    threshold = f32(max(map(abs, values)) * floor / PPM)
    return [value if abs(value) >= threshold else 0.0 for value in trimmed(values, keep)]


def mean(parents: Sequence[Floats], weights: list[int]) -> Floats:
    result = []
    for index in range(len(parents[0])):
        total = 0.0
        for parent, weight in zip(parents, weights, strict=True):
            total += weight * parent[index]
        result.append(f32(total / sum(weights)))
    return result


def clipped(deltas: list[Floats]) -> list[Floats]:
    """Each delta scaled to the lower median of their norms, where it is longer; norms to the last bit of a fold."""
    norms = [math.sqrt(folded([value * value for value in delta])) for delta in deltas]
    median = sorted(norms)[(len(norms) - 1) // 2]
    return [[value * (median / norm) for value in delta] if norm > median else delta
            for delta, norm in zip(deltas, norms, strict=True)]


def folded(values: Floats) -> float:
    """The second half onto the first, until one is left."""
    while len(values) > 1:
        half = (len(values) + 1) // 2
        values = [value + (values[half + index] if half + index < len(values) else 0.0)
                  for index, value in enumerate(values[:half])]
    return values[0]


Definition = Callable[[Floats, list[Floats], list[int]], Floats]
KEEP, FLOOR, SEED = 300_000, 100_000, 11

BASED: dict[str, Definition] = {
    "task-delta": task_delta,
    "sparse-task-delta": lambda base, deltas, weights: task_delta(base, [trimmed(d, KEEP) for d in deltas], weights),
    "dare": lambda base, deltas, weights: task_delta(
        base, [dropped(d, KEEP, SEED, n) for n, d in enumerate(deltas)], weights),
    "federated": lambda base, deltas, weights: federated(base, clipped(deltas), weights),
    "sign-merge": lambda base, deltas, weights: merged(base, [trimmed(d, KEEP) for d in deltas], weights),
    "della": lambda base, deltas, weights: merged(
        base, [ranked_out(d, KEEP, FLOOR, SEED, n) for n, d in enumerate(deltas)], weights),
    "breadcrumbs": lambda base, deltas, weights: task_delta(base, [middle(d, KEEP, FLOOR) for d in deltas], weights),
}
"""Operators on a base, with the rates above."""
