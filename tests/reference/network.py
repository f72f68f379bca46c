"""What both reference networks are made of, in NumPy, f64: weights, attention over a cache, position after position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.reference import kernels
from tinypylm.config import Role
from tinypylm.format import Model
from tinypylm.kernels.rotary import frequencies
from tinypylm_tools.quantise import decode

Array = NDArray[np.float64]


class Network:
    """The model whose file is `data`, and its keys and values so far."""

    def __init__(self, model: Model, data: bytes):
        self.config = model.config
        self._weights = {
            (t.role, t.layer): decode(data[t.offset:t.offset + t.payload_bytes], t.dtype, t.shape).astype(np.float64)
            for t in model.tensors
        }
        c = self.config
        self._cache = np.zeros((2, c.n_layers, c.n_kv_heads, c.context_length, c.head_dim))

    def run(self, hidden: Callable[[Network, Array, int], Array], ids: list[int]) -> Array:
        """f64[len(ids), vocab_size]: `hidden` takes a token's embedding and position through layers and final norm."""
        output = self.w(Role.TOK_EMBEDDINGS if self.config.tied_embeddings else Role.OUTPUT)
        embeddings = self.w(Role.TOK_EMBEDDINGS)[ids]
        return np.stack([output @ hidden(self, x, position) for position, x in enumerate(embeddings)])

    def w(self, role: Role, layer: int | None = None) -> Array:
        return self._weights[role, layer]

    def linear(self, x: Array, role: Role, bias: Role, layer: int) -> Array:
        """W x, and the bias where the model has one."""
        return self.w(role, layer) @ x + self._weights.get((bias, layer), 0)

    def attention(self, n: Array, layer: int, position: int) -> Array:
        c = self.config
        angles = position * np.array(frequencies(c.rope_theta, c.rotary_dim))
        roles = (Role.WQ, Role.BQ), (Role.WK, Role.BK), (Role.WV, Role.BV)
        query, key, value = (self.linear(n, role, bias, layer).reshape(-1, c.head_dim) for role, bias in roles)
        query, key = (kernels.rotate(v, np.cos(angles), np.sin(angles), c.interleaved_rotary) for v in (query, key))
        keys, values = self._cache[:, layer]
        keys[:, position], values[:, position] = key, value
        attended = kernels.attend(query, keys[:, :position + 1], values[:, :position + 1])
        return self.linear(attended.reshape(-1), Role.WO, Role.BO, layer)
