"""The Llama network in NumPy, f64, one position after the other: the definition that the engine is held against."""

from __future__ import annotations

from tests.reference import kernels
from tests.reference.network import Array, Network
from tinypylm.config import Role
from tinypylm.format import Model


def logits(model: Model, data: bytes, ids: list[int]) -> Array:
    """f64[len(ids), vocab_size] of the model whose file is `data`."""
    return Network(model, data).run(_hidden, ids)


def _hidden(net: Network, x: Array, position: int) -> Array:
    epsilon = net.config.norm_epsilon
    for layer in range(net.config.n_layers):
        x = x + net.attention(kernels.rmsnorm(x, net.w(Role.ATTN_NORM, layer), epsilon), layer, position)
        n = kernels.rmsnorm(x, net.w(Role.MLP_NORM, layer), epsilon)
        gated = kernels.swiglu(net.w(Role.W_GATE, layer) @ n, net.w(Role.W_UP, layer) @ n)
        x = x + net.w(Role.W_DOWN, layer) @ gated
    return kernels.rmsnorm(x, net.w(Role.FINAL_NORM), epsilon)
