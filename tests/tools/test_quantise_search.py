"""The search never does worse than the default rule, mostly better, and counts what it is told to count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinypylm.config import DType
from tinypylm.quant import code_bytes
from tinypylm_tools import quantise
from tinypylm_tools.quantise import F32, decode
from tinypylm_tools.quantise_search import encode

QUANTISED = [DType.Q8_0, DType.Q4_0]
TINY = 2.0**-20
WEIGHTS = arrays(np.float32, (2, 64), elements=st.floats(-100, 100, width=32) | st.floats(-TINY, TINY, width=32))


def block_errors(weights: F32, payload: bytes, dtype: DType, importance: F32 | None = None) -> F32:
    squares = np.square(weights.astype(np.float64) - decode(payload, dtype, weights.shape))
    return (squares if importance is None else squares * importance).reshape(-1, 32).sum(axis=1)


@pytest.mark.parametrize("dtype", QUANTISED)
@given(weights=WEIGHTS)
def test_no_block_gets_worse_than_by_the_default_rule(dtype: DType, weights: F32) -> None:
    searched = block_errors(weights, encode(weights, dtype, "w", None), dtype)
    default = block_errors(weights, quantise.encode(weights, dtype, "w"), dtype)
    assert (searched <= default * 1.0001 + 1e-30).all()


def test_the_error_of_q4_0_is_that_of_an_exhaustive_search_within_one_percent() -> None:
    """The oracle tries a thousand scales of either size for each block, with all 16 codes."""
    weights = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    best = np.full(64, np.inf)
    for divisor in np.linspace(4, 10, 1000):
        scale = np.abs(weights).max(axis=1, keepdims=True) / divisor
        codes = np.rint(weights / scale).clip(-8, 7)
        best = np.minimum(best, np.square(weights - codes * scale).sum(axis=1))
    found = block_errors(weights, encode(weights, DType.Q4_0, "w", None), DType.Q4_0)
    assert found.sum() < 1.01 * best.sum()
    default = block_errors(weights, quantise.encode(weights, DType.Q4_0, "w"), DType.Q4_0)
    assert found.sum() < 0.8 * default.sum()


def test_a_largest_weight_that_is_negative_gets_code_minus_8() -> None:
    weights = np.zeros((1, 32), np.float32)
    weights[0, :9] = [-8, 7, 6, 5, 4, 3, 2, 1, -7]
    payload = encode(weights, DType.Q4_0, "w", None)
    np.testing.assert_array_equal(decode(payload, DType.Q4_0, weights.shape), weights)


def test_columns_that_matter_more_are_kept_more_exactly() -> None:
    weights = np.random.default_rng(1).standard_normal((256, 64)).astype(np.float32)
    importance = np.where(np.arange(64) % 8 == 0, 100, 1).astype(np.float32)
    plain, weighted = (encode(weights, DType.Q4_0, "w", kind) for kind in (None, importance))
    assert block_errors(weights, weighted, DType.Q4_0, importance).sum() < 0.8 * block_errors(
        weights, plain, DType.Q4_0, importance).sum()
    assert block_errors(weights, weighted, DType.Q4_0).sum() > block_errors(weights, plain, DType.Q4_0).sum()


@pytest.mark.parametrize("dtype", QUANTISED)
def test_zeros_stay_zeros(dtype: DType) -> None:
    assert not any(encode(np.zeros((2, 32), np.float32), dtype, "w", None))


@pytest.mark.parametrize("dtype", QUANTISED)
def test_scales_are_finite_and_have_no_sign(dtype: DType) -> None:
    weights = np.random.default_rng(2).standard_normal((32, 32)).astype(np.float32) * np.float32(65504 * 6)
    weights[:16] *= np.float32(1e-12)
    payload = encode(weights.clip(-65504 * 6, 65504 * 6), dtype, "w", None)
    scales = np.frombuffer(payload[code_bytes(dtype, weights.shape):], "<f2")
    assert np.isfinite(scales).all()
    assert not np.signbit(scales).any()
