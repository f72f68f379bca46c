"""exp, log, sin, cos and the normal distribution: the stated bounds, against libm in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.kernels.bench import Workbench, single
from tinypylm.kernels import exponential
from tinypylm.kernels.rotary import rotary_angle
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import Value, f32, i32


def ulps(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in units of the last place of an f32 result."""
    return float((np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))).max())


def exp_array(k: Kernel, out: Ptr, x: Ptr, n: i32) -> None:
    with k.range(n, step=4) as i:
        out.f32x4[i] = exponential.exp(k, x.f32x4[i])


def normal_tail_array(k: Kernel, out: Ptr, y: Ptr, n: i32) -> None:
    with k.range(n, step=4) as i:
        out.f32x4[i] = exponential.normal_tail(k, k.let(y.f32x4[i]))


def each_of(x: np.ndarray, kernel) -> np.ndarray:
    bench = single(kernel)
    address, out = bench.place(x.astype(np.float32)), bench.room(4 * len(x))
    bench.run(out, address, len(x))
    return bench.read(out, len(x))


def exp_of(x: np.ndarray) -> np.ndarray:
    return each_of(x, exp_array)


def test_exp_is_within_two_units_of_the_last_place() -> None:
    x = np.linspace(-87.3, 88.3, 200_000, dtype=np.float32)
    assert ulps(exp_of(x), np.exp(x.astype(np.float64))) <= 2


def test_exp_of_zero_is_exactly_one() -> None:
    assert exp_of(np.zeros(4)).tolist() == [1.0] * 4


def test_exp_beyond_its_range() -> None:
    low, high, negative, nan = exp_of(np.array([-87.4, 200.0, -np.inf, np.nan]))
    assert (low, negative) == (0.0, 0.0)
    assert 2.3e38 < high < np.inf
    assert np.isnan(nan)


def test_the_normal_tail_keeps_its_stated_bounds() -> None:
    y = np.linspace(0, 13, 100_000, dtype=np.float32)
    exact = np.array([math.erfc(v / math.sqrt(2)) / 2 for v in y.astype(np.float64)])
    error = np.abs(each_of(y, normal_tail_array) / exact - 1)
    assert error[y <= 4].max() < 7e-7
    assert error.max() < 5e-6


def test_the_normal_tail_of_special_values() -> None:
    half, far, infinite, nan = each_of(np.array([0.0, 14.0, np.inf, np.nan]), normal_tail_array)
    assert (half, far, infinite) == (pytest.approx(0.5, rel=5e-7), 0.0, 0.0)
    assert np.isnan(nan)


def log_one(k: Kernel, x: f32) -> Value:
    return exponential.log(k, x)


def test_log_is_within_one_unit_of_the_last_place() -> None:
    bench = single(log_one)
    rng = np.random.default_rng(0)
    x = np.concatenate([np.exp(rng.uniform(-80, 80, 2000)), 1 + rng.uniform(-0.01, 0.01, 500), [1.0, 2.0, 0.5]])
    x = x.astype(np.float32)
    found = np.array([bench.run(float(v)) for v in x], np.float32)
    exact = np.log(x.astype(np.float64))
    assert found[-3] == 0.0
    assert ulps(found[exact != 0], exact[exact != 0]) <= 1


@pytest.mark.parametrize("largest", [1.0, 100.0, 70_000.0, 2.0**20])
def test_sine_and_cosine_are_within_one_unit_of_the_last_place(largest: float) -> None:
    bench = Workbench()
    bench.add(rotary_angle)
    bench.start()
    cosine, sine = bench.room(4), bench.room(4)
    x = np.random.default_rng(1).uniform(-largest, largest, 1000).astype(np.float32)
    found = []
    for angle in x:
        bench.run(cosine, sine, float(angle))
        found.append((bench.read(cosine, 1)[0], bench.read(sine, 1)[0]))
    cosines, sines = np.array(found).T
    exact = x.astype(np.float64)
    assert ulps(cosines, np.cos(exact)) <= 1
    assert ulps(sines, np.sin(exact)) <= 1
