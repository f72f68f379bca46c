"""Weights as a packed file would hold them, with a gradient: the forward pass rounds, the backward pass does not know.

The rule is that of `quantise.blocks` and `quantise.decode`, operation for operation, so the values are the same bits.
(The straight-through estimator: Bengio, Leonard and Courville, 2013.)
"""

from __future__ import annotations

from torch import Tensor, where, zeros_like

from tinypylm.config import DType
from tinypylm.quant import BLOCK_ELEMENTS, allows_quantisation
from tinypylm_tools.quantise import RULES
from tinypylm_tools.training.network import Weights


def rounded(weights: Weights, dtype: DType) -> Weights:
    """The same tensors; those that a file of type `dtype` stores in it have its values."""
    if dtype is DType.F32:
        return weights
    return {key: straight_through(weight, dtype) if allows_quantisation(tuple(weight.shape)) else weight
            for key, weight in weights.items()}


def straight_through(weight: Tensor, dtype: DType) -> Tensor:
    """What `weight` is after packing and unpacking; its gradient is passed on unchanged."""
    return _stored(weight.detach(), dtype) + (weight - weight.detach())


def _stored(weight: Tensor, dtype: DType) -> Tensor:
    rule, blocks = RULES[dtype], weight.reshape(-1, BLOCK_ELEMENTS)
    divisor = blocks.new_tensor(float(rule.divisor))  # a plain number would be multiplied with, inverted, on a GPU
    scales = (blocks.abs().amax(1, keepdim=True) / divisor).half().float()
    codes = (blocks / where(scales == 0, 1, scales)).round().clamp(rule.lowest, rule.highest)
    return where(scales == 0, zeros_like(blocks), codes * scales).reshape(weight.shape)
