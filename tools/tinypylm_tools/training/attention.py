"""Causal attention whose gradients are quick on a CPU that multiplies matrices of bf16 (AMX).

torch's own backward works in small blocks there; this one in pieces of many rows, compiled. The formulas: Dao and
others, FlashAttention, 2022, section B.2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_PIECE_NUMBERS = 1 << 21
"""Scores in a piece: their 8 MB are reused by the allocator, and stay in the processor's cache."""

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def causal(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(head_dim)) value, up to each one's own place; f[rows, heads, length, head_dim] all."""
    if torch.compiler.is_compiling() and query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return _attend(query, key, value)[0]
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


@torch.library.custom_op("tinypylm::attend", mutates_args=())
def _attend(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The result, and the logarithm of each softmax's divisor, f32[rows, heads, length]."""
    attended, divisors = _forward(query, key, value, 0.0, True)
    return attended.contiguous(), divisors.contiguous()


@_attend.register_fake
def _(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    return query.new_empty(query.shape), query.new_empty(query.shape[:-1], dtype=torch.float32)


@torch.library.custom_op("tinypylm::attend_backward", mutates_args=())
def _attend_backward(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, attended: Tensor, divisors: Tensor
                     ) -> tuple[Tensor, Tensor, Tensor]:
    """Of query, key and value."""
    shape, (length, size) = query.shape, query.shape[-2:]
    parts = [part.reshape(-1, length, size) for part in (gradient, query, key, value, attended)]
    parts.append(divisors.reshape(-1, length, 1))
    hidden = torch.full((length, length), float("-inf")).triu(1)
    rows = max(1, _PIECE_NUMBERS // length**2)
    found = [_compiled()(*piece, hidden) for piece in zip(*(part.split(rows) for part in parts), strict=True)]
    first, second, third = (torch.cat(pieces).view(shape) for pieces in zip(*found, strict=True))
    return first, second, third


@_attend_backward.register_fake
def _(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, attended: Tensor, divisors: Tensor
      ) -> tuple[Tensor, Tensor, Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape), value.new_empty(value.shape)


# Torch names these arguments.
def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, ...]:
    return _attend_backward(gradient.contiguous(), *ctx.saved_tensors)


_attend.register_autograd(_differentiate, setup_context=_keep)


Piece = Callable[..., tuple[Tensor, Tensor, Tensor]]


@cache
def _compiled() -> Piece:
    return torch.compile(_piece, dynamic=True)


def _piece(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, attended: Tensor, divisors: Tensor,
           hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of f[rows, length, head_dim]; `hidden` is minus infinity where a place is not seen."""
    scale, dtype = query.shape[-1] ** -0.5, query.dtype
    shares = ((query @ key.transpose(1, 2)).float() * scale + hidden - divisors).exp()
    common = (gradient.float() * attended.float()).sum(-1, keepdim=True)
    of_scores = (shares * ((gradient @ value.transpose(1, 2)).float() - common) * scale).to(dtype)
    return of_scores @ key, of_scores.transpose(1, 2) @ query, shares.to(dtype).transpose(1, 2) @ gradient
