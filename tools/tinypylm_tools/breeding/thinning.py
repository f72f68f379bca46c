"""Which part of one parent's delta of one tensor takes part: the deltas are thinned in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinypylm.config import Role
from tinypylm.provenance.operators import PPM
from tinypylm_tools.breeding import selection, stream
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.sums import F64

_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Site:
    """Which tensor of which parent."""

    role: Role
    layer: int | None
    parent_sha256: str


Thin = Callable[[F64, Site, Parameters], None]


def whole(delta: F64, site: Site, chosen: Parameters) -> None:
    """Everything stays."""


def sparse(delta: F64, site: Site, chosen: Parameters) -> None:
    """The largest ceil(n * keep) stay, as they are; the others are 0. (Yadav et al., TIES-Merging, 2023: trim)"""
    kept = selection.largest(np.abs(delta), selection.share(delta.size, chosen.keep_ppm))
    delta[~kept] = 0.0


def dare(delta: F64, site: Site, chosen: Parameters) -> None:
    """delta * 10^6 / keep where word < floor(keep * 2^32 / 10^6), else 0. (Yu et al., DARE, 2023)"""
    words = stream.words("dare", chosen.seed, site.parent_sha256, site.role, site.layer, delta.size)
    delta[words.astype(np.uint64) >= np.uint64(_limit(chosen.keep_ppm))] = 0.0
    delta *= float(PPM)
    delta /= float(chosen.keep_ppm)


def della(delta: F64, site: Site, chosen: Parameters) -> None:
    """DARE with a probability for each rank: from 2 keep - floor for the largest down to floor for the smallest.

    Rank r of n has high - floor((high - low) * r / (n - 1)) ppm. (Deep et al., DELLA-Merging, 2024: MAGPRUNE)
    """
    order = selection.ranked(np.abs(delta))
    words = stream.words("della", chosen.seed, site.parent_sha256, site.role, site.layer, delta.size)
    high, low = 2 * chosen.keep_ppm - chosen.floor_ppm, chosen.floor_ppm
    for start in range(0, delta.size, _AT_ONCE):
        places = order[start : start + _AT_ONCE]
        ranks = np.arange(start, start + places.size, dtype=np.int64)
        keep = high - (high - low) * ranks // max(1, delta.size - 1)
        kept = words[places] < (keep << 32) // PPM
        scaled = delta[places] * float(PPM) / np.maximum(keep, 1)
        delta[places] = np.where(kept, scaled, 0.0)


def breadcrumbs(delta: F64, site: Site, chosen: Parameters) -> None:
    """Without the smallest floor(n * floor), the next ceil(n * keep) stay; the outliers above go. (Davari, 2023)"""
    below = delta.size * chosen.floor_ppm // PPM
    count = min(selection.share(delta.size, chosen.keep_ppm), delta.size - below)
    delta[~selection.between(np.abs(delta), below, count)] = 0.0


def prune(values: F64, site: Site, chosen: Parameters) -> None:
    """The largest ceil(n * keep) weights stay, and of those none below the floor."""
    magnitudes = np.abs(values)
    kept = selection.largest(magnitudes, selection.share(values.size, chosen.keep_ppm))
    kept &= magnitudes >= floor_threshold(largest_magnitude(values), chosen.floor_ppm)
    values[~kept] = 0.0


def largest_magnitude(values: F64) -> float:
    return float(np.abs(values).max(initial=0.0))


def floor_threshold(largest: float, floor_ppm: int) -> float:
    """f32(largest * floor / 10^6): what is smaller is pruned."""
    return float(np.float32(largest * floor_ppm / PPM))


def _limit(keep_ppm: int) -> int:
    return (keep_ppm << 32) // PPM
