"""What `transformers` computes for GPT-NeoX models; `python -m tests.engine.neox_goldens` writes it down.

The models have random weights that NumPy alone makes anew, bit for bit, so the file holds only what came out. The
weights are larger than those that training starts from: a greedy choice then has a margin that no rounding reaches.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.engine.models import neox
from tinypylm.config import DType, ModelConfig, Role, expected_tensors
from tinypylm_tools.slm_writer import Payload, TensorKey, seal

if TYPE_CHECKING:
    import torch
    from transformers import GPTNeoXForCausalLM

SHAPES = {
    "like Pythia": neox(n_layers=3, n_heads=4, head_dim=16, rotary_dim=4, ffn_size=256, context_length=256),
    "sequential": neox(n_heads=4, head_dim=16, rotary_dim=4, ffn_size=128, context_length=256,
                       parallel_residual=False),
    "whole heads turned, tied": neox(n_heads=2, head_dim=32, rotary_dim=32, ffn_size=96, context_length=256,
                                     tied_embeddings=True, rope_theta=500.0),
    "GELU by tanh": neox(n_heads=8, head_dim=8, rotary_dim=4, ffn_size=200, context_length=256, gelu_tanh=True),
    "odd sizes": neox(n_layers=1, n_heads=3, head_dim=6, rotary_dim=2, ffn_size=37, vocab_size=301,
                      context_length=256, norm_epsilon=1e-3),
}
SEEDS = dict(zip(SHAPES, (1, 0, 0, 1, 2), strict=True))  # each keeps LEAST_MARGIN and more than a few tokens
PROMPT_TOKENS, GREEDY_TOKENS, LEAST_MARGIN = 24, 200, 1e-3
FILE = Path(__file__).parent.parent / "data" / "gpt-neox.transformers.npz"

Weights = dict[TensorKey, np.ndarray]
_NORMS = {Role.ATTN_NORM, Role.MLP_NORM, Role.FINAL_NORM}


def prompt(name: str) -> list[int]:
    return _numbers(name).randint(0, 259, PROMPT_TOKENS).tolist()


def weights(name: str) -> Weights:
    """Uniform numbers: vectors within 0.3 (of one for a norm's weight), matrices with a standard deviation of 0.2."""
    numbers, out = _numbers(name), {}
    for spec in expected_tensors(SHAPES[name]):
        reach = 0.3 if len(spec.shape) == 1 else 0.2 * np.sqrt(3)
        values = numbers.uniform(-reach, reach, spec.shape) + (spec.role in _NORMS)
        out[spec.role, spec.layer] = values.astype(np.float32)
    return out


def file(name: str) -> bytes:
    """The sealed f32 model."""
    payloads = {key: Payload(DType.F32, values.tobytes()) for key, values in weights(name).items()}
    return seal(SHAPES[name], payloads, None, {})


def _numbers(name: str) -> np.random.RandomState:
    return np.random.RandomState(SEEDS[name])  # the one generator whose stream NumPy promises to keep


def compute() -> dict[str, np.ndarray]:
    """Of each shape: NAME.logits, f32[PROMPT_TOKENS, vocab_size]; NAME.greedy, the ids that follow the prompt."""
    out = {}
    for name in SHAPES:
        out[f"{name}.logits"], out[f"{name}.greedy"] = _compute(name)
    return out


def _compute(name: str) -> tuple[np.ndarray, np.ndarray]:
    import torch

    model = _transformers_model(SHAPES[name], weights(name))
    start = torch.tensor([prompt(name)])
    with torch.no_grad():
        logits = model(start).logits[0].numpy()
        ids = model.generate(start, attention_mask=torch.ones_like(start), do_sample=False, eos_token_id=None,
                             pad_token_id=0, max_new_tokens=GREEDY_TOKENS)
        best = model(ids[:, :-1]).logits[0, PROMPT_TOKENS - 1:].topk(2).values
    margin = float((best[:, 0] - best[:, 1]).min())
    if margin < LEAST_MARGIN:
        raise ValueError(f"{name}: a greedy choice was made by {margin:.1e}, expected {LEAST_MARGIN}: change the seed")
    print(f"{name}: largest logit {np.abs(logits).max():.1f}, least margin {margin:.1e}")
    return logits, ids[0, PROMPT_TOKENS:].numpy().astype(np.int32)


def _transformers_model(shape: ModelConfig, values: Weights) -> GPTNeoXForCausalLM:
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    model = GPTNeoXForCausalLM(GPTNeoXConfig(
        vocab_size=shape.vocab_size, hidden_size=shape.hidden_size, num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads, intermediate_size=shape.ffn_size, layer_norm_eps=shape.norm_epsilon,
        hidden_act="gelu_new" if shape.gelu_tanh else "gelu", rotary_pct=shape.rotary_dim / shape.head_dim,
        rotary_emb_base=shape.rope_theta, max_position_embeddings=shape.context_length,
        use_parallel_residual=shape.parallel_residual, tie_word_embeddings=shape.tied_embeddings))
    with torch.no_grad():
        _fill(model, shape, values)
    return model.eval()


def _fill(model: GPTNeoXForCausalLM, shape: ModelConfig, values: Weights) -> None:
    _put(model.gpt_neox.embed_in, values[Role.TOK_EMBEDDINGS, None])
    _put(model.gpt_neox.final_layer_norm, values[Role.FINAL_NORM, None], values[Role.FINAL_NORM_BIAS, None])
    if not shape.tied_embeddings:
        _put(model.get_output_embeddings(), values[Role.OUTPUT, None])
    for n, layer in enumerate(model.gpt_neox.layers):
        _fill_layer(layer, shape.n_heads, {role: v for (role, where), v in values.items() if where == n})


def _fill_layer(layer: torch.nn.Module, heads: int, w: dict[Role, np.ndarray]) -> None:
    _put(layer.input_layernorm, w[Role.ATTN_NORM], w[Role.ATTN_NORM_BIAS])
    _put(layer.attention.query_key_value, _fused(heads, w[Role.WQ], w[Role.WK], w[Role.WV]),
         _fused(heads, w[Role.BQ], w[Role.BK], w[Role.BV]))
    _put(layer.attention.dense, w[Role.WO], w[Role.BO])
    _put(layer.post_attention_layernorm, w[Role.MLP_NORM], w[Role.MLP_NORM_BIAS])
    _put(layer.mlp.dense_h_to_4h, w[Role.W_UP], w[Role.B_UP])
    _put(layer.mlp.dense_4h_to_h, w[Role.W_DOWN], w[Role.B_DOWN])


def _fused(heads: int, *parts: np.ndarray) -> np.ndarray:
    """Rows of query, key and value, one head's after the other's: [heads, 3, head_dim, ...]."""
    each = [part.reshape(heads, -1, *part.shape[1:]) for part in parts]
    return np.concatenate(each, axis=1).reshape(-1, *parts[0].shape[1:])


def _put(module: torch.nn.Module, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
    import torch

    module.weight.copy_(torch.from_numpy(weight))
    if bias is not None:
        module.bias.copy_(torch.from_numpy(bias))


def main() -> None:
    np.savez_compressed(FILE, **compute())
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
