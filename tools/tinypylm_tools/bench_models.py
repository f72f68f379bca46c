"""Models with random weights in the shapes that the benchmark compares; their text means nothing, their speed does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinypylm.config import DType, Family, ModelConfig, Role, expected_tensors
from tinypylm_tools.quantise import encode
from tinypylm_tools.slm_writer import Payload, seal, stored_dtype

_NORMS = (Role.ATTN_NORM, Role.MLP_NORM, Role.FINAL_NORM)


@dataclass(frozen=True, slots=True)
class Shape:
    """A tied Llama; head_dim = hidden_size / n_heads."""

    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    ffn_size: int
    vocab_size: int
    context_length: int

    def config(self, quantization: DType) -> ModelConfig:
        head_dim = self.hidden_size // self.n_heads
        return ModelConfig(
            family=Family.LLAMA, quantization=quantization, tied_embeddings=True, parallel_residual=False,
            interleaved_rotary=False, gelu_tanh=False, vocab_size=self.vocab_size, hidden_size=self.hidden_size,
            n_layers=self.n_layers, n_heads=self.n_heads, n_kv_heads=self.n_kv_heads, head_dim=head_dim,
            ffn_size=self.ffn_size, context_length=self.context_length, rotary_dim=head_dim, rope_theta=10_000.0,
            norm_epsilon=1e-5, bos_id=256, eos_id=None)


SHAPES = {
    "A": Shape(288, 6, 6, 6, 768, 32_000, 256),
    "B": Shape(512, 8, 8, 8, 1376, 32_000, 1024),
    "C": Shape(512, 14, 8, 2, 1408, 12_288, 1024),
    "twelve": Shape(288, 12, 6, 6, 768, 8_192, 256),
}
"""A is TinyStories' 15M, B its 42M; C has groups of four heads; `twelve` has twelve layers, for emission."""


def random_model(shape: Shape, quantization: DType, seed: int = 0) -> bytes:
    """A sealed file of this shape with the byte tokenizer; without an end token, so that it never stops by itself."""
    rng = np.random.default_rng(seed)
    config = shape.config(quantization)
    payloads = {}
    for spec in expected_tensors(config):
        norm = spec.role in _NORMS
        weights = rng.standard_normal(spec.shape, dtype=np.float32)
        weights = 1 + np.float32(0.1) * weights if norm else weights / np.float32(spec.shape[-1] ** 0.5)
        dtype = stored_dtype(spec.shape, quantization)
        payloads[spec.role, spec.layer] = Payload(dtype, encode(weights, dtype, spec.role.label))
    return seal(config, payloads, None, {})
