"""`tinypylm adapter combine`: several packages of one format for one base as a single one.

ALR1: A' = [w1 s1 A1; w2 s2 A2; ..], B' = [B1 B2 ..], so B' A' is the weighted sum; adding the A's and the B's would not
be. ADP1 and ASP1: sums of deltas, in f64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from tinypylm.adapters.entries import PackageFormat
from tinypylm.adapters.package import KEEP_ALL_PPM
from tinypylm.config import Role
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import tensor_name
from tinypylm_tools.adapters.changes import changes
from tinypylm_tools.adapters.package_file import PackageFile
from tinypylm_tools.adapters.writer import Change, Dense, LowRank, Sparse, seal

_Key = tuple[Role, int | None]
_F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Combined:
    """A package, and how many of its numbers had to be rounded: with none it is the exact sum."""

    data: bytes
    rounded: int


def combine(files: Sequence[PackageFile], weights: Sequence[float]) -> Combined:
    """The sum of weight * package's scale * package. Raises ToolError, BudgetError."""
    kind = _check(files, weights)
    parts: dict[_Key, list[tuple[Change, float]]] = {}
    for file, weight in zip(files, weights, strict=True):
        for change in changes(file.package):
            parts.setdefault((change.role, change.layer), []).append((change, weight * file.package.scale))
    rounding = _Rounding()
    combined = [made for key, part in parts.items() if (made := _summed(key, part, rounding)) is not None]
    if not combined:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, "The packages cancel each other out: nothing is left to change.")
    return Combined(seal(files[0].package.base, combined, 1.0, _keep_ppm(kind, combined)), rounding.count)


def _check(files: Sequence[PackageFile], weights: Sequence[float]) -> PackageFormat:
    if len(weights) != len(files) or not all(np.isfinite(weight) and weight != 0 for weight in weights):
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"--weights gives {len(weights)} numbers for {len(files)} packages; "
                        "expected one for each, finite and not zero.")
    first = files[0]
    for file in files[1:]:
        if file.package.base != first.package.base:
            raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{file.path} is for another base than {first.path}; expected "
                            "packages for one base.")
        if file.package.format is not first.package.format:
            raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{file.path} is an {file.package.format}, {first.path} an "
                            f"{first.package.format}; expected one format. Apply them as a stack instead.")
    return first.package.format


class _Rounding:
    """f64 to f32, counting the numbers that change by it."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, exact: _F64, name: str) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float32)
        if not np.isfinite(rounded).all():
            raise ToolError(ErrorCode.NON_FINITE_WEIGHTS, f"The sum for {name} overflows f32. Use smaller weights.")
        self.count += int((rounded != exact).sum())
        return rounded


def _summed(key: _Key, part: list[tuple[Change, float]], rounding: _Rounding) -> Change | None:
    """None where a sparse sum has nothing left."""
    first, name = part[0][0], tensor_name(*key)
    if isinstance(first, LowRank):
        return _stacked(key, [(change, s) for change, s in part if isinstance(change, LowRank)], rounding)
    shape = first.shape if isinstance(first, Sparse) else first.delta.shape
    total = np.zeros(prod(shape))
    for change, s in part:
        if isinstance(change, Sparse):
            total[change.indices] += change.deltas.astype(np.float64) * s
        elif isinstance(change, Dense):
            total += change.delta.reshape(-1).astype(np.float64) * s
    rounded = rounding(total, name)
    if isinstance(first, Dense):
        return Dense(*key, rounded.reshape(shape))
    indices = np.flatnonzero(rounded)
    return Sparse(*key, shape, indices, rounded[indices]) if len(indices) else None


def _stacked(key: _Key, part: list[tuple[LowRank, float]], rounding: _Rounding) -> LowRank:
    a = np.concatenate([change.a.astype(np.float64) * s for change, s in part])
    b = np.concatenate([change.b for change, _ in part], axis=1)
    most = min(b.shape[0], a.shape[1])
    if len(a) > most:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"The ranks for {tensor_name(*key)} add up to {len(a)}; expected at "
                        f"most {most}. Apply the packages as a stack instead.", {"found": len(a), "expected": most})
    return LowRank(*key, rounding(a, tensor_name(*key)), b)


def _keep_ppm(kind: PackageFormat, combined: Sequence[Change]) -> int:
    """The smallest rate that allows every entry's pairs."""
    if kind is not PackageFormat.ASP1:
        return 0
    rates = [-(-len(change.indices) * KEEP_ALL_PPM // prod(change.shape))
             for change in combined if isinstance(change, Sparse)]
    return max(rates)
