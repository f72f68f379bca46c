"""Norms, codes, SwiGLU, GELU, embedding rows and rotary turns, each against its NumPy twin."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.bench import single
from tests.kernels.test_exponential import ulps
from tests.kernels.test_linear import pack
from tests.reference import kernels as reference
from tinypylm.config import DType
from tinypylm.kernels import activation, embedding, norm, rotary

SIZES = [1, 2, 3, 4, 5, 63, 64, 99, 288]


def normal(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("in_place", [False, True])
def test_rmsnorm(n: int, in_place: bool) -> None:
    bench = single(norm.rmsnorm, n=n, epsilon=1e-5)
    x, w = normal(n), normal(n, 1)
    at = bench.place(x)
    out = at if in_place else bench.room(4 * n)
    bench.run(out, at, bench.place(w))
    np.testing.assert_allclose(bench.read(out, n), reference.rmsnorm(x, w, 1e-5), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("in_place", [False, True])
def test_layernorm(n: int, in_place: bool) -> None:
    bench = single(norm.layernorm, n=n, epsilon=1e-5)
    x, w, b = normal(n, n) + 3, normal(n, n + 1), normal(n, n + 2)
    at = bench.place(x)
    out = at if in_place else bench.room(4 * n)
    bench.run(out, at, bench.place(w), bench.place(b))
    np.testing.assert_allclose(bench.read(out, n), reference.layernorm(x, w, b, 1e-5), rtol=2e-6, atol=2e-6)


def test_layernorm_keeps_its_digits_far_from_zero() -> None:
    bench = single(norm.layernorm, n=64, epsilon=1e-5)
    x, one, zero = np.round(normal(64) * 64) / 64 + np.float32(1000), np.ones(64, np.float32), np.zeros(64, np.float32)
    at = bench.place(x)
    bench.run(at, at, bench.place(one), bench.place(zero))
    # The mean of 64 numbers near 1000 is good to 2^-14; a mean of squares would be to 2^-4.
    np.testing.assert_allclose(bench.read(at, 64), reference.layernorm(x, one, zero, 1e-5), rtol=0, atol=2e-4)


@pytest.mark.parametrize("value", [1e20, 3e38, np.nan, np.inf])
@pytest.mark.parametrize("kernel", [norm.rmsnorm, norm.layernorm])
def test_a_norm_that_overflows_is_not_a_number(kernel, value: float) -> None:
    bench = single(kernel, n=5, epsilon=1e-5)
    rows = [np.ones(5, np.float32) for _ in range(4 if kernel is norm.layernorm else 3)]
    rows[1][3:] = value
    out, *others = [bench.place(row) for row in rows]
    bench.run(out, *others)
    assert np.isnan(bench.read(out, 5)).all()


@pytest.mark.parametrize("n", [32, 64, 288])
@pytest.mark.parametrize(("dtype", "byte_dots"), [(DType.Q8_0, False), (DType.Q4_0, False), (DType.Q4_0, True)])
def test_codes_and_scale_are_exactly_the_references(n: int, dtype: DType, byte_dots: bool) -> None:
    bench = single(activation.quantise, n=n, dtype=dtype, byte_dots=byte_dots)
    codes, scale, at = bench.room(80 * n // 32), bench.room(4), bench.room(4 * n)
    halves = np.arange(n, dtype=np.float32) - n // 2 + 0.5  # which go to the even number
    halves[3] = 32767 if dtype is DType.Q8_0 else 8191
    for x in (normal(n, n) * 7, normal(n, n) * -7, halves, -halves, normal(n, n) * 1e37):
        bench.instance.write(at, x.astype(np.float32).tobytes())
        bench.run(codes, scale, at)
        expected, expected_scale = reference.quantise(x.astype(np.float32), dtype)
        if byte_dots:
            np.testing.assert_array_equal(bench.read(codes, 80 * n // 32, np.int8), reference.byte_blocks(expected))
        else:
            order = expected if dtype is DType.Q8_0 else reference.q4_order(expected)
            np.testing.assert_array_equal(bench.read(codes, n, np.int16), order)
        assert bench.read(scale, 1)[0] == expected_scale


@pytest.mark.parametrize(("value", "check"), [
    (0.0, lambda s: s == 0), (np.nan, np.isnan), (-np.nan, np.isnan),
    (np.inf, lambda s: not np.isfinite(s)), (-np.inf, lambda s: not np.isfinite(s))])
def test_codes_of_a_special_vector_keep_what_makes_it_special(value: float, check) -> None:
    bench = single(activation.quantise, n=32, dtype=DType.Q8_0)
    x = np.zeros(32, np.float32)
    x[5] = value
    codes, scale = bench.room(64), bench.room(4)
    bench.run(codes, scale, bench.place(x))
    assert check(bench.read(scale, 1)[0])


@pytest.mark.parametrize("n", SIZES)
def test_swiglu(n: int) -> None:
    bench = single(activation.swiglu)
    gate, up = normal(n) * 20, normal(n, 1)
    at = bench.place(gate)
    bench.run(at, bench.place(up), 0, n)
    np.testing.assert_allclose(bench.read(at, n), reference.swiglu(gate, up), rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("tanh", [False, True])
def test_gelu(n: int, tanh: bool) -> None:
    bench = single(activation.gelu, tanh=tanh)
    x = normal(n, n) * 3
    at = bench.place(x)
    bench.run(at, 0, n)
    np.testing.assert_allclose(bench.read(at, n), reference.gelu(x, tanh), rtol=1e-6, atol=1e-7)


def gelu_of(x: np.ndarray, tanh: bool = False) -> np.ndarray:
    bench = single(activation.gelu, tanh=tanh)
    at = bench.place(x.astype(np.float32))
    bench.run(at, 0, len(x))
    return bench.read(at, len(x))


def test_gelu_is_within_eight_units_of_the_last_place_down_to_minus_two() -> None:
    x = np.linspace(-14, 14, 200_000, dtype=np.float32)
    found, exact = gelu_of(x), reference.gelu(x, tanh=False)
    assert ulps(found[x > -2], exact[x > -2]) <= 8
    assert np.abs(found - exact)[x < 0].max() < 1e-7


@pytest.mark.parametrize("tanh", [False, True])
def test_gelu_of_special_values(tanh: bool) -> None:
    zero, large, low, nan, high, negative = gelu_of(np.array([0, 1e30, -1e30, np.nan, np.inf, -np.inf]), tanh)
    assert (zero, large) == (0, np.float32(1e30))
    assert abs(low) < 1e-8
    assert not np.isfinite([nan, high, negative]).any()


@pytest.mark.parametrize("dtype", list(DType))
def test_an_embedding_row_is_dequantised_exactly(dtype: DType) -> None:
    rng, cols = np.random.default_rng(3), 64
    bench = single(embedding.embed, dtype=dtype, cols=cols)
    codes = rng.integers(-8, 8, (5, cols))
    scales = rng.random((5, 2)).astype(np.float16)
    table = codes.astype(np.float32) if dtype is DType.F32 else pack(codes, dtype)
    at, scales_at, out = bench.place(table), bench.place(scales), bench.room(4 * cols)
    for token in range(5):
        bench.run(out, at, scales_at, token)
        factor = 1 if dtype is DType.F32 else np.repeat(scales[token].astype(np.float32), 32)
        np.testing.assert_array_equal(bench.read(out, cols), codes[token].astype(np.float32) * factor)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("heads", "head_dim", "rotary_dim"), [
    (1, 2, 2), (3, 6, 6), (2, 8, 8), (4, 48, 48), (2, 16, 4)])
def test_rotary_turns_pairs(heads: int, head_dim: int, rotary_dim: int, interleaved: bool) -> None:
    stride = head_dim + 5
    bench = single(rotary.rotate, head_dim=head_dim, rotary_dim=rotary_dim, out_stride=stride, interleaved=interleaved)
    x, angles = normal(heads * head_dim).reshape(heads, head_dim), normal(rotary_dim // 2, 1)
    cosines, sines = np.cos(angles), np.sin(angles)
    out = bench.room(4 * heads * stride)
    bench.run(out, bench.place(x), bench.place(cosines), bench.place(sines), 0, heads)
    rows = bench.read(out, heads * stride).reshape(heads, stride)[:, :head_dim]
    np.testing.assert_allclose(rows, reference.rotate(x, cosines, sines, interleaved), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("theta", "dim"), [(10_000.0, 32), (10_000.0, 64), (500_000.0, 128), (100.0, 2)])
def test_frequencies_are_those_of_single_precision_arithmetic(theta: float, dim: int) -> None:
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    expected = np.float32(1) / (np.float32(theta) ** exponents)
    np.testing.assert_allclose(rotary.frequencies(theta, dim), expected, rtol=2.5e-7)
