"""The operators that compute: a row of the table says how deltas are thinned, weighed and joined.

A tensor at a time: whole deltas in f64, then, 65,536 elements at a time, their join, one rounding and one encoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinypylm_tools.breeding import joining, thinning
from tinypylm_tools.breeding.joining import Extent, Join, Votes, Weigh
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.stored import AT_ONCE, StoredTensor, StoringLoss, store
from tinypylm_tools.breeding.sums import F64, dot
from tinypylm_tools.breeding.thinning import Site, Thin


@dataclass(frozen=True, slots=True)
class Blend:
    """How an operator computes."""

    thin: Thin
    weigh: Weigh
    join: Join


BLENDS: Mapping[str, Blend] = {
    "task-delta": Blend(thinning.whole, joining.as_given, joining.summed),
    "sparse-task-delta": Blend(thinning.sparse, joining.as_given, joining.summed),
    "magnitude-prune": Blend(thinning.prune, joining.alone, joining.summed),
    "dare": Blend(thinning.dare, joining.as_given, joining.summed),
    "federated": Blend(thinning.whole, joining.clipped, joining.summed_in_ppm),
    "sign-merge": Blend(thinning.sparse, joining.in_ppm, joining.elected),
    "linear": Blend(thinning.whole, joining.in_ppm, joining.averaged),
    "slerp": Blend(thinning.whole, joining.on_the_arc, joining.summed),
    "della": Blend(thinning.della, joining.in_ppm, joining.elected),
    "breadcrumbs": Blend(thinning.breadcrumbs, joining.as_given, joining.summed),
    "split-point": Blend(thinning.whole, joining.at_the_split, joining.summed),
}
"""Where an operator has no base, a delta is the model itself."""


@dataclass(slots=True)
class Trace:
    """What a receipt says of one tensor, or of all of them, beyond the losses of storing."""

    nonzero: list[int]
    kept: list[int]
    votes: Votes = field(default_factory=Votes)
    largest_magnitude: float = 0.0


class Digests:
    """SHA-256 over deltas, as little-endian f64, tensor after tensor; and products between those of two parents."""

    def __init__(self, parents: int):
        self.raw = [hashlib.sha256() for _ in range(parents)]
        self.thinned = [hashlib.sha256() for _ in range(parents)]
        self.joined = hashlib.sha256()
        self.products = [[0.0] * parents for _ in range(parents)]

    def multiply(self, deltas: Sequence[F64]) -> None:
        for row in range(len(deltas)):
            for column in range(row + 1):
                self.products[row][column] += dot(deltas[row], deltas[column])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which digests an operator's receipt has."""

    deltas: bool = False
    joined: bool = False
    products: bool = False


WANTED: Mapping[str, Wanted] = {
    "dare": Wanted(deltas=True), "federated": Wanted(joined=True), "sign-merge": Wanted(products=True),
}


class Blender:
    """One run of an operator over the tensors of a model, in file order."""

    def __init__(self, name: str, chosen: Parameters, parents: int):
        self._blend, self._chosen = BLENDS[name], chosen
        self._wanted = WANTED.get(name, Wanted())
        self.digests = Digests(parents)

    def tensor(
        self, base: StoredTensor | None, parents: Sequence[StoredTensor], sites: Sequence[Site], extent: Extent,
        child: StoredTensor,
    ) -> tuple[Trace, StoringLoss]:
        """Fills `child`. Raises ToolError for a result that has no encoding."""
        trace = Trace([], [])
        deltas = [self._thinned(base, parent, site, trace, index)
                  for index, (parent, site) in enumerate(zip(parents, sites, strict=True))]
        if self._wanted.products:
            self.digests.multiply(deltas)
        weights = self._blend.weigh(deltas, self._chosen, extent)
        return trace, self._join(base, parents, deltas, weights, trace, child)

    def _thinned(
        self, base: StoredTensor | None, parent: StoredTensor, site: Site, trace: Trace, index: int
    ) -> F64:
        delta = difference(parent, base)
        trace.nonzero.append(int(np.count_nonzero(delta)))
        if base is None:
            trace.largest_magnitude = thinning.largest_magnitude(delta)
        if self._wanted.deltas:
            self.digests.raw[index].update(delta.data)
        self._blend.thin(delta, site, self._chosen)
        if self._wanted.deltas:
            self.digests.thinned[index].update(delta.data)
        trace.kept.append(int(np.count_nonzero(delta)))
        return delta

    def _join(
        self, base: StoredTensor | None, parents: Sequence[StoredTensor], deltas: list[F64], weights: list[float],
        trace: Trace, child: StoredTensor,
    ) -> StoringLoss:
        loss = StoringLoss()
        sources = [*([] if base is None else [base]), *parents]
        for start in range(0, child.elements, AT_ONCE):
            end = min(start + AT_ONCE, child.elements)
            joined = self._blend.join([delta[start:end] for delta in deltas], weights, trace.votes)
            if self._wanted.joined:
                self.digests.joined.update(joined.data)
            if base is not None:
                joined += base.values(start, end)
            store(joined, start, sources, child, loss)
        return loss


def difference(parent: StoredTensor, base: StoredTensor | None) -> F64:
    """f64(parent) - f64(base), flat; the parent's own weights where there is no base."""
    delta = np.empty(parent.elements, np.float64)
    for start in range(0, delta.size, AT_ONCE):
        end = min(start + AT_ONCE, delta.size)
        delta[start:end] = parent.values(start, end)
        if base is not None:
            delta[start:end] -= base.values(start, end)
    return delta
