"""What each operator of breeding takes: base, parents, options with their ranges and defaults. No arithmetic.

One table for the schemas of records, the command line and recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PPM = 1_000_000
MOST_PARENTS = 64
_MOST_WEIGHT = 1_000_000_000


class Unit(StrEnum):
    """What crossover moves as one."""

    LAYER = "layer"
    ROW = "row"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Range:
    """least..most; without a `default` the option must be given."""

    least: int
    most: int
    default: int | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """`roles` are those of its models beside the base, the last one for all that follow.

    `weight` is the range of one weight for each parent, in ppm; `equal_shares` makes 10^6 / parents its default.
    """

    summary: str
    base: bool
    fewest: int
    most: int
    weight: Range | None = None
    keep: Range | None = None
    floor: Range | None = None
    seeded: bool = False
    units: bool = False
    equal_shares: bool = False
    roles: tuple[str, ...] = ("parent",)
    version: int = 1

    def role(self, index: int) -> str:
        return self.roles[min(index, len(self.roles) - 1)]

    @property
    def symmetric(self) -> bool:
        """Whether the order in which parents are given says nothing."""
        return len(self.roles) == 1


_SIGNED = Range(-_MOST_WEIGHT, _MOST_WEIGHT, PPM)
_POSITIVE = Range(1, _MOST_WEIGHT, PPM)
_NOT_NEGATIVE = Range(0, _MOST_WEIGHT, PPM)
_RATE = Range(1, PPM)
_WHOLE = Range(1, PPM, PPM)

OPERATORS: Mapping[str, Operator] = {
    "task-delta": Operator("base + sum(weight * delta)", True, 1, MOST_PARENTS, _SIGNED),
    "sparse-task-delta": Operator(
        "the same, with the largest keep-ppm of each delta", True, 1, MOST_PARENTS, _SIGNED, _RATE),
    "magnitude-prune": Operator(
        "one model without its smallest weights", False, 1, 1, None, _WHOLE, Range(0, PPM, 0), roles=("reference",)),
    "dare": Operator(
        "base + sum(weight * delta), of each delta a random keep-ppm, scaled up", True, 1, MOST_PARENTS, _SIGNED,
        _RATE, seeded=True),
    "federated": Operator(
        "base + sum(weight * delta), each delta clipped to the median norm", True, 1, MOST_PARENTS, _POSITIVE,
        equal_shares=True),
    "crossover": Operator("stored units of two models, by seeded bits", False, 2, 2, seeded=True, units=True),
    "sign-merge": Operator(
        "base + mean of the deltas that have the elected sign", True, 1, MOST_PARENTS, _POSITIVE, _WHOLE),
    "linear": Operator("the weighted mean of models", False, 2, MOST_PARENTS, _NOT_NEGATIVE),
    "slerp": Operator("two models, along the arc between them, tensor by tensor", False, 2, 2, _NOT_NEGATIVE),
    "della": Operator(
        "sign-merge of deltas that were dropped at random, small ones rather", True, 1, MOST_PARENTS, _POSITIVE,
        _RATE, Range(0, PPM, 0), seeded=True),
    "breadcrumbs": Operator(
        "base + sum(weight * delta), without the smallest floor-ppm and the largest of each delta", True, 1,
        MOST_PARENTS, _SIGNED, _RATE, Range(0, PPM, 0)),
    "split-point": Operator(
        "two means of two models: one weighting before the split, the other behind it", False, 2, 2, _NOT_NEGATIVE,
        _RATE, roles=("head", "tail")),
}
"""By name, in the order of the documents."""
