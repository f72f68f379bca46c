"""How far two models are from each other, tensor by tensor. Their types may differ: weights are compared as decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.breeding.parents import Parent
from tinypylm_tools.breeding.stored import AT_ONCE, StoredTensor
from tinypylm_tools.breeding.sums import F64, fold


@dataclass(slots=True)
class Distance:
    """Sums over the elements of one tensor, or of all, of A and B; `same_sign` counts zero as a sign of its own."""

    name: str
    elements: int = 0
    equal: int = 0
    same_sign: int = 0
    squares_a: float = 0.0
    squares_b: float = 0.0
    products: float = 0.0
    squares_of_difference: float = 0.0
    largest: float = 0.0

    def add(self, a: F64, b: F64) -> None:
        difference = np.abs(b - a)
        self.elements += a.size
        self.equal += int(np.count_nonzero(a == b))
        self.same_sign += int(np.count_nonzero(np.sign(a) == np.sign(b)))
        self.squares_a += fold(a * a)
        self.squares_b += fold(b * b)
        self.products += fold(a * b)
        self.largest = max(self.largest, float(difference.max()))
        self.squares_of_difference += fold(difference * difference)

    def join(self, other: Distance) -> None:
        """Adds what another tensor's elements say."""
        for key in ("elements", "equal", "same_sign", "squares_a", "squares_b", "products", "squares_of_difference"):
            setattr(self, key, getattr(self, key) + getattr(other, key))
        self.largest = max(self.largest, other.largest)

    @property
    def rms(self) -> float:
        """Root mean square of B - A."""
        return sqrt(self.squares_of_difference / self.elements)

    @property
    def relative(self) -> float | None:
        """norm(B - A) / norm(A); None where A is zero."""
        return sqrt(self.squares_of_difference / self.squares_a) if self.squares_a else None

    @property
    def sign_agreement(self) -> float:
        return self.same_sign / self.elements

    @property
    def cosine(self) -> float | None:
        """None where one of them is zero."""
        lengths = sqrt(self.squares_a) * sqrt(self.squares_b)
        return max(-1.0, min(1.0, self.products / lengths)) if lengths else None


def distances(a: Parent, b: Parent) -> list[Distance]:
    """One for each tensor, in file order, then one named `all`. Raises ToolError for models of other shapes."""
    _check_shapes(a, b)
    rows = [_distance(a.tensor(index), b.tensor(index)) for index in range(len(a.model.tensors))]
    total = Distance("all")
    for row in rows:
        total.join(row)
    return [*rows, total]


def _distance(a: StoredTensor, b: StoredTensor) -> Distance:
    distance = Distance(a.name)
    for start in range(0, a.elements, AT_ONCE):
        end = min(start + AT_ONCE, a.elements)
        distance.add(a.values(start, end).astype(np.float64), b.values(start, end).astype(np.float64))
    return distance


def _check_shapes(a: Parent, b: Parent) -> None:
    for one, other in zip(_shapes(a), _shapes(b), strict=False):
        if one != other:
            raise ToolError(
                ErrorCode.INCOMPATIBLE_PARENTS, f"{other} stands in B where A has {one}; models are compared tensor by "
                "tensor and need the same ones. Compare models of one architecture.",
                {"field": "tensors", "found": other, "expected": one})


def _shapes(model: Parent) -> Iterator[str]:
    """Each tensor with its shape, and an end that differs from any tensor."""
    for tensor in model.model.tensors:
        yield f"{tensor.name} of shape {' x '.join(map(str, tensor.shape))}"
    yield "the end"
