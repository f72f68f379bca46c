"""What each column of each matrix is multiplied by, on average: the importance of weights, from a calibration text.

Both networks in NumPy, f32, all tokens at once and one matrix in memory at a time. It serves statistics and is no
reference: those are in `tests/reference`, against which it is tested.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinypylm.config import Family, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.kernels.rotary import frequencies
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.source import Source
from tinypylm_tools.quantise import F32
from tinypylm_tools.slm_writer import TensorKey

CALIBRATION_TOKENS = 4096
"""As many of the text are used: more change the averages little and take long."""
_WINDOW_TOKENS = 256


def input_squares(source: Source, text: str) -> dict[TensorKey, F32]:
    """mean(x[j]^2) over the tokens of `text` for each matrix: f32[columns]. Raises ToolError for an empty text.

    A table of embeddings that is the output too counts as the output; one that is not has no entry.
    """
    ids = Tokenizer(source.vocabulary, source.config.bos_id).encode(text)[:CALIBRATION_TOKENS]
    if not ids:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, "The calibration text is empty; expected some text like that which "
                        "the model will see.")
    network = _Network(source, min(_WINDOW_TOKENS, source.config.context_length))
    network.run(np.array(ids))
    return network.squares


class _Network:
    """The model of a source; `squares` fills while it runs."""

    def __init__(self, source: Source, window: int):
        self._config, self._read = source.config, source.open_weights()
        self._specs = {(spec.role, spec.layer): spec for spec in expected_tensors(source.config)}
        self._window = window
        self.squares: dict[TensorKey, F32] = {}

    def run(self, ids: np.ndarray[tuple[int], np.dtype[np.int64]]) -> F32:
        """f32[tokens, hidden_size] behind the final norm; the text is cut into windows that do not see each other."""
        x = self._read(self._specs[Role.TOK_EMBEDDINGS, None], ids)
        for layer in range(self._config.n_layers):
            attended = self._attention(self._norm(x, Role.ATTN_NORM, layer), layer)
            x, before = x + attended, x
            parallel = self._config.parallel_residual
            x = x + self._mlp(self._norm(before if parallel else x, Role.MLP_NORM, layer), layer)
        x = self._norm(x, Role.FINAL_NORM, None)
        self._record(Role.TOK_EMBEDDINGS if self._config.tied_embeddings else Role.OUTPUT, None, x)
        return x

    def _tensor(self, role: Role, layer: int | None) -> F32:
        spec: TensorSpec = self._specs[role, layer]
        return self._read(spec, np.arange(spec.shape[0]))

    def _record(self, role: Role, layer: int | None, x: F32) -> None:
        self.squares[role, layer] = np.square(x).mean(axis=0)

    def _linear(self, x: F32, role: Role, bias: Role, layer: int) -> F32:
        self._record(role, layer, x)
        product: F32 = x @ self._tensor(role, layer).T
        return product + self._tensor(bias, layer) if (bias, layer) in self._specs else product

    def _norm(self, x: F32, role: Role, layer: int | None) -> F32:
        epsilon = np.float32(self._config.norm_epsilon)
        if self._config.family is Family.LLAMA:
            scale = np.sqrt(np.square(x).mean(axis=1, keepdims=True) + epsilon)
            return np.asarray(self._tensor(role, layer) * x / scale, np.float32)
        centred = x - x.mean(axis=1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + epsilon)
        normed = self._tensor(role, layer) * centred / scale + self._tensor(_BIASES[role], layer)
        return np.asarray(normed, np.float32)

    def _mlp(self, n: F32, layer: int) -> F32:
        up = self._linear(n, Role.W_UP, Role.B_UP, layer)
        if self._config.family is Family.LLAMA:
            hidden = _silu(self._linear(n, Role.W_GATE, Role.B_UP, layer)) * up
        else:
            hidden = _gelu(up)
        return self._linear(hidden, Role.W_DOWN, Role.B_DOWN, layer)

    def _attention(self, n: F32, layer: int) -> F32:
        c = self._config
        query, key, value = (
            self._linear(n, role, bias, layer).reshape(len(n), -1, c.head_dim)
            for role, bias in ((Role.WQ, Role.BQ), (Role.WK, Role.BK), (Role.WV, Role.BV)))
        parts = [slice(start, start + self._window) for start in range(0, len(n), self._window)]
        attended = [self._attend(query[part], key[part], value[part]) for part in parts]
        return self._linear(np.concatenate(attended), Role.WO, Role.BO, layer)

    def _attend(self, query: F32, key: F32, value: F32) -> F32:
        """f32[tokens, hidden] of [tokens, heads, head_dim]; keys and values are shared by groups of heads."""
        c = self._config
        query, key = self._rotated(query), self._rotated(key)
        key, value = (np.repeat(part, c.n_heads // c.n_kv_heads, axis=1) for part in (key, value))
        scores = np.einsum("qhd,khd->hqk", query, key) / np.float32(np.sqrt(c.head_dim))
        scores[:, *np.triu_indices(len(query), 1)] = -np.inf
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        mixed: F32 = np.einsum("hqk,khd->qhd", weights, value).reshape(len(query), -1)
        return mixed

    def _rotated(self, x: F32) -> F32:
        c, half = self._config, self._config.rotary_dim // 2
        angles = np.outer(np.arange(len(x)), frequencies(c.rope_theta, c.rotary_dim)).astype(np.float32)[:, None]
        first = slice(0, c.rotary_dim, 2) if c.interleaved_rotary else slice(0, half)
        second = slice(1, c.rotary_dim, 2) if c.interleaved_rotary else slice(half, c.rotary_dim)
        out = x.copy()
        out[..., first] = x[..., first] * np.cos(angles) - x[..., second] * np.sin(angles)
        out[..., second] = x[..., first] * np.sin(angles) + x[..., second] * np.cos(angles)
        return out


_BIASES: Mapping[Role, Role] = {
    Role.ATTN_NORM: Role.ATTN_NORM_BIAS, Role.MLP_NORM: Role.MLP_NORM_BIAS, Role.FINAL_NORM: Role.FINAL_NORM_BIAS}


def _silu(x: F32) -> F32:
    with np.errstate(over="ignore"):
        return np.asarray(x / (1 + np.exp(-x)), np.float32)


def _gelu(x: F32) -> F32:
    """By tanh for models of either kind: an average of squares does not see the difference."""
    gelu: F32 = x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3))) / 2
    return gelu
