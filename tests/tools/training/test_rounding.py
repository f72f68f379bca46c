"""Training's rounded weights are those of a packed file, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from tinypylm.config import DType, Role
from tinypylm_tools.quantise import decode, encode
from tinypylm_tools.training.rounding import rounded, straight_through


def awkward() -> np.ndarray:
    """Blocks of many sizes: ordinary ones, zeros, scales that f16 rounds to 0 or holds as subnormals, half codes."""
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((64, 96)).astype(np.float32)
    weights *= np.exp2(rng.integers(-30, 10, (64, 1))).astype(np.float32)
    weights[3] = 0
    weights[4] = np.arange(96) % 15 / 2 - 3.5
    return weights


@pytest.mark.parametrize("dtype", [DType.Q8_0, DType.Q4_0])
def test_a_rounded_weight_is_what_a_packed_file_holds(dtype: DType) -> None:
    weights = awkward()
    found = straight_through(torch.tensor(weights), dtype).numpy()
    assert found.tobytes() == decode(encode(weights, dtype, "w"), dtype, weights.shape).tobytes()


def test_the_gradient_passes_unchanged() -> None:
    weight = torch.tensor(awkward(), requires_grad=True)
    factors = torch.randn(weight.shape)
    (straight_through(weight, DType.Q4_0) * factors).sum().backward()
    assert weight.grad.equal(factors)


def test_norms_and_odd_rows_stay_as_they_are() -> None:
    weights = {(Role.FINAL_NORM, None): torch.randn(64), (Role.W_DOWN, 0): torch.randn(4, 48)}
    found = rounded(weights, DType.Q4_0)
    assert all(found[key] is weights[key] for key in weights)
    assert rounded(weights, DType.F32) is weights
