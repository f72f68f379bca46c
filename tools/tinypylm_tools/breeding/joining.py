"""How the thinned deltas of one tensor become one: coefficients from the whole tensor, then a sum or an election.

Parents come ascending by their file's SHA-256, so every sum has one order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinypylm.provenance.operators import PPM
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.sums import F64, arc_weights, cosine, norm

_NEARLY_PARALLEL = 0.9995


@dataclass(slots=True)
class Votes:
    """Elements by the outcome of an election: elected signs, sums of zero among non-zero deltas, no delta at all."""

    positive: int = 0
    negative: int = 0
    ties: int = 0
    silent: int = 0


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a tensor lies among all parameters of the model, in file order."""

    first: int
    total: int
    row: int


Weigh = Callable[[list[F64], Parameters, Extent], list[float]]
"""Coefficients for the deltas of one tensor; may scale them in place."""

Join = Callable[[Sequence[F64], Sequence[float], Votes], F64]
"""One delta from a chunk of each."""


def as_given(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """weight / 10^6."""
    return [weight / PPM for weight in chosen.weights_ppm]


def in_ppm(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """The weights as integers, for a quotient in which their unit cancels."""
    return [float(weight) for weight in chosen.weights_ppm]


def alone(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """1: there is one model."""
    return [1.0]


def clipped(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """The weights as integers, after each delta longer than the (lower) median norm has been scaled to that norm."""
    norms = [norm(delta) for delta in deltas]
    median = sorted(norms)[(len(norms) - 1) // 2]
    for delta, length in zip(deltas, norms, strict=True):
        if length > median:
            np.multiply(delta, median / length, out=delta)
    return in_ppm(deltas, chosen, extent)


def on_the_arc(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """Shoemake's weights for the angle between two tensors; where they are nearly parallel those of the mean."""
    near, far = chosen.weights_ppm
    part = far / (near + far)
    cos = cosine(*deltas)
    if abs(cos) > _NEARLY_PARALLEL or not all(delta.any() for delta in deltas):
        return [near / (near + far), part]
    return list(arc_weights(cos, part))


def at_the_split(deltas: list[F64], chosen: Parameters, extent: Extent) -> list[float]:
    """w / sum(w) before the split, the other parent's behind it; the split is at floor(parameters * keep / 10^6),
    put back to the start of its row. (Abrantes et al., "Competition and Attraction Improve Model Fusion", 2025)"""
    head, tail = (weight / sum(chosen.weights_ppm) for weight in chosen.weights_ppm)
    split = max(0, extent.total * chosen.keep_ppm // PPM - extent.first) // extent.row * extent.row
    for delta, before, behind in ((deltas[0], head, tail), (deltas[1], tail, head)):
        delta[:split] *= before
        delta[split:] *= behind
    return [1.0, 1.0]


def summed(deltas: Sequence[F64], weights: Sequence[float], votes: Votes) -> F64:
    """sum(w * d)"""
    total = weights[0] * deltas[0]
    for weight, delta in zip(weights[1:], deltas[1:], strict=True):
        total += weight * delta
    return total


def summed_in_ppm(deltas: Sequence[F64], weights: Sequence[float], votes: Votes) -> F64:
    """sum(w * d) / 10^6, so that integer weights that sum up to 10^6 lose nothing."""
    total = summed(deltas, weights, votes)
    total /= float(PPM)
    return total


def averaged(deltas: Sequence[F64], weights: Sequence[float], votes: Votes) -> F64:
    """sum(w * d) / sum(w)"""
    total = summed(deltas, weights, votes)
    total /= sum(weights)
    return total


def elected(deltas: Sequence[F64], weights: Sequence[float], votes: Votes) -> F64:
    """sum(w * d) / sum(w) over the members: non-zero deltas with the sign of sum(w * d); 0 where that sum is 0.

    (Yadav et al., TIES-Merging, 2023: elect sign, disjoint merge)
    """
    sign = np.sign(summed(deltas, weights, votes))
    above, below = np.zeros_like(sign), np.zeros_like(sign)
    for weight, delta in zip(weights, deltas, strict=True):
        member = (np.sign(delta) == sign) & (delta != 0)
        above += np.where(member, weight * delta, 0.0)
        below += np.where(member, weight, 0.0)
    _count(sign, deltas, votes)
    return np.divide(above, below, out=np.zeros_like(sign), where=below > 0)


def _count(sign: F64, deltas: Sequence[F64], votes: Votes) -> None:
    silent = ~np.any([delta != 0 for delta in deltas], axis=0)
    votes.positive += int(np.count_nonzero(sign > 0))
    votes.negative += int(np.count_nonzero(sign < 0))
    votes.silent += int(np.count_nonzero(silent))
    votes.ties += int(np.count_nonzero((sign == 0) & ~silent))
