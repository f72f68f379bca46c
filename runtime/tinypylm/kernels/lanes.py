"""Sums across the lanes of four vectors at once."""

from __future__ import annotations

from typing import TypeVar

from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.vectors import f32x4, i32x4

T = TypeVar("T", f32x4, i32x4)


def lane_sums(k: Kernel, v: list[T]) -> T:
    """The four vectors' sums, each (l0 + l2) + (l1 + l3) as `f32x4.sum` has it."""
    ab = k.let(v[0].shuffle32(v[1], 0, 4, 1, 5) + v[0].shuffle32(v[1], 2, 6, 3, 7))
    cd = k.let(v[2].shuffle32(v[3], 0, 4, 1, 5) + v[2].shuffle32(v[3], 2, 6, 3, 7))
    return ab.shuffle32(cd, 0, 1, 4, 5) + ab.shuffle32(cd, 2, 3, 6, 7)
