"""The GPT-NeoX network in NumPy, f64, one position after the other: the definition that the engine is held against."""

from __future__ import annotations

from tests.reference import kernels
from tests.reference.network import Array, Network
from tinypylm.config import Role
from tinypylm.format import Model


def logits(model: Model, data: bytes, ids: list[int]) -> Array:
    """f64[len(ids), vocab_size] of the model whose file is `data`."""
    return Network(model, data).run(_hidden, ids)


def _hidden(net: Network, x: Array, position: int) -> Array:
    for layer in range(net.config.n_layers):
        attended = net.attention(_norm(net, x, Role.ATTN_NORM, Role.ATTN_NORM_BIAS, layer), layer, position)
        if net.config.parallel_residual:
            x = x + attended + _mlp(net, x, layer)
        else:
            x = x + attended
            x = x + _mlp(net, x, layer)
    return _norm(net, x, Role.FINAL_NORM, Role.FINAL_NORM_BIAS, None)


def _mlp(net: Network, x: Array, layer: int) -> Array:
    n = _norm(net, x, Role.MLP_NORM, Role.MLP_NORM_BIAS, layer)
    up = kernels.gelu(net.linear(n, Role.W_UP, Role.B_UP, layer), tanh=net.config.gelu_tanh)
    return net.linear(up, Role.W_DOWN, Role.B_DOWN, layer)


def _norm(net: Network, x: Array, weight: Role, bias: Role, layer: int | None) -> Array:
    return kernels.layernorm(x, net.w(weight, layer), net.w(bias, layer), net.config.norm_epsilon)
