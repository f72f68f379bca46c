"""The Llama network in NumPy, f64, one position after the other: the definition that the engine is held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.reference import kernels
from tinypylm.config import Role
from tinypylm.format import Model
from tinypylm.kernels.rotary import frequencies
from tinypylm_tools.quantise import decode

Array = NDArray[np.float64]


def logits(model: Model, data: bytes, ids: list[int]) -> Array:
    """f64[len(ids), vocab_size] of the model whose file is `data`."""
    return _Llama(model, data).run(ids)


class _Llama:
    def __init__(self, model: Model, data: bytes):
        self.config = model.config
        self._weights = {
            (t.role, t.layer): decode(data[t.offset:t.offset + t.payload_bytes], t.dtype, t.shape).astype(np.float64)
            for t in model.tensors
        }
        c = self.config
        self._cache = np.zeros((2, c.n_layers, c.n_kv_heads, c.context_length, c.head_dim))

    def run(self, ids: list[int]) -> Array:
        return np.stack([self._step(token, position) for position, token in enumerate(ids)])

    def _w(self, role: Role, layer: int | None = None) -> Array:
        return self._weights[role, layer]

    def _step(self, token: int, position: int) -> Array:
        c = self.config
        x = self._w(Role.TOK_EMBEDDINGS)[token].copy()
        for layer in range(c.n_layers):
            x += self._attention(kernels.rmsnorm(x, self._w(Role.ATTN_NORM, layer), c.norm_epsilon), layer, position)
            n = kernels.rmsnorm(x, self._w(Role.MLP_NORM, layer), c.norm_epsilon)
            gated = kernels.swiglu(self._w(Role.W_GATE, layer) @ n, self._w(Role.W_UP, layer) @ n)
            x += self._w(Role.W_DOWN, layer) @ gated
        output = self._w(Role.TOK_EMBEDDINGS if c.tied_embeddings else Role.OUTPUT)
        return output @ kernels.rmsnorm(x, self._w(Role.FINAL_NORM), c.norm_epsilon)

    def _attention(self, n: Array, layer: int, position: int) -> Array:
        c = self.config
        angles = position * np.array(frequencies(c.rope_theta, c.rotary_dim))
        query, key, value = (
            (self._w(role, layer) @ n).reshape(-1, c.head_dim) for role in (Role.WQ, Role.WK, Role.WV))
        query, key = (kernels.rotate(v, np.cos(angles), np.sin(angles), c.interleaved_rotary) for v in (query, key))
        keys, values = self._cache[:, layer]
        keys[:, position], values[:, position] = key, value
        attended = kernels.attend(query, keys[:, :position + 1], values[:, :position + 1])
        return self._w(Role.WO, layer) @ attended.reshape(-1)
