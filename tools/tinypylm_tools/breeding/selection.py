"""Which elements of a tensor stay, by the order of their magnitudes.

The order is (magnitude descending, index ascending), so it is total: ties never depend on a sort's whims.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinypylm_tools.breeding.sums import F64

Mask = NDArray[np.bool_]
PPM = 1_000_000


def share(count: int, ppm: int) -> int:
    """ceil(count * ppm / 10^6)."""
    return -(-count * ppm // PPM)


def largest(magnitudes: F64, count: int) -> Mask:
    """The first `count` elements of the order, but none that are zero."""
    size, count = magnitudes.size, min(count, int(np.count_nonzero(magnitudes)))
    if count == 0:
        return np.zeros(size, np.bool_)
    least = np.partition(magnitudes, size - count)[size - count]
    kept: Mask = magnitudes > least
    ties = np.flatnonzero(magnitudes == least)
    kept[ties[: count - int(np.count_nonzero(kept))]] = True
    return kept


def between(magnitudes: F64, dropped_below: int, count: int) -> Mask:
    """The last `count` of the order that stand before its last `dropped_below`; none that are zero."""
    head = magnitudes.size - dropped_below
    outliers = largest(magnitudes, max(0, head - count))
    return largest(magnitudes, head) & ~outliers


def ranked(magnitudes: F64) -> NDArray[np.int64]:
    """The indices in their order; `magnitudes` are overwritten."""
    np.negative(magnitudes, out=magnitudes)
    return np.argsort(magnitudes, kind="stable").astype(np.int64, copy=False)
