"""The gradients of a piece of attention, against those of torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from torch.nn import functional

from tinypylm_tools.training import attention


@pytest.mark.parametrize(("rows", "length", "size"), [(3, 40, 16), (1, 1, 8), (5, 33, 24)])
def test_a_piece_has_the_gradients_of_torch_s_own(rows: int, length: int, size: int) -> None:
    generator = torch.Generator().manual_seed(length)
    query, key, value, gradient = (torch.randn((rows, length, size), generator=generator) for _ in range(4))
    inputs = [part.requires_grad_() for part in (query, key, value)]
    attended = functional.scaled_dot_product_attention(*inputs, is_causal=True)
    expected = torch.autograd.grad(attended, inputs, gradient)
    hidden = torch.full((length, length), float("-inf")).triu(1)
    divisors = ((query @ key.transpose(1, 2)) * size**-0.5 + hidden).logsumexp(-1, keepdim=True)
    found = attention._piece(gradient, query, key, value, attended, divisors, hidden)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
