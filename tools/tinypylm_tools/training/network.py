"""The two families in torch, many sequences at a time: the networks of `tests/reference`, to be differentiated.

A model is its `ModelConfig` and its tensors, by role and layer, as in a file. Position 0 is each row's first token.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat

import torch
from torch import Tensor
from torch.nn import functional

from tinypylm.config import Family, ModelConfig, Role, expected_tensors
from tinypylm.kernels.rotary import frequencies
from tinypylm.memory import aligned
from tinypylm_tools.slm_writer import TensorKey
from tinypylm_tools.training.attention import causal
from tinypylm_tools.training.batches import NO_TARGET, WIDTH_STEP

Weights = Mapping[TensorKey, Tensor]
Turn = tuple[Tensor, Tensor, Tensor]
_INITIAL_DEVIATION = 0.02
_NORMS = {Role.FINAL_NORM, Role.ATTN_NORM, Role.MLP_NORM}
_INTO_RESIDUAL = {Role.WO, Role.W_DOWN}


def initial_weights(config: ModelConfig, seed: int) -> dict[TensorKey, Tensor]:
    """Ones for norms, zeros for biases, normal numbers for matrices; those that write into the residual are smaller by
    the root of how many do (GPT-2)."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[TensorKey, Tensor] = {}
    for spec in expected_tensors(config):
        if len(spec.shape) == 1:
            weights[spec.role, spec.layer] = torch.full(spec.shape, float(spec.role in _NORMS))
            continue
        share = (2 * config.n_layers) ** -0.5 if spec.role in _INTO_RESIDUAL else 1.0
        weights[spec.role, spec.layer] = torch.randn(spec.shape, generator=generator) * _INITIAL_DEVIATION * share
    return weights


def turns(config: ModelConfig, device: torch.device) -> Turn:
    """What every position's numbers and their partners are multiplied with, cosine and sine f32[.., head_dim], and of a
    batch's padding, one and zero behind rotary_dim; and what makes the partners, f32[head_dim, head_dim]."""
    positions, beyond = aligned(config.context_length, WIDTH_STEP), config.head_dim - config.rotary_dim
    angles = torch.outer(torch.arange(positions, dtype=torch.float32),
                         torch.tensor(frequencies(config.rope_theta, config.rotary_dim)))
    both = angles.repeat_interleave(2, -1) if config.interleaved_rotary else torch.cat((angles, angles), -1)
    both = functional.pad(both, (0, beyond))
    return both.cos().to(device), both.sin().to(device), _partners(config).to(device)


def _partners(config: ModelConfig) -> Tensor:
    """x @ it is the other number of each one's pair, that of the second one negative; behind rotary_dim zero."""
    size, found = config.rotary_dim, torch.zeros(config.head_dim, config.head_dim)
    first = torch.arange(0, size, 2) if config.interleaved_rotary else torch.arange(size // 2)
    second = first + (1 if config.interleaved_rotary else size // 2)
    found[second, first], found[first, second] = -1.0, 1.0
    return found


def logits(config: ModelConfig, weights: Weights, turn: Turn, ids: Tensor, factors: Tensor | None = None) -> Tensor:
    """f[rows, length, vocab_size]: what is predicted behind each of ids[rows, length]; `factors` are dropout's."""
    dropout = iter(factors) if factors is not None else repeat(None)
    turn = turn[0][: ids.shape[1]], turn[1][: ids.shape[1]], turn[2]
    x = _dropped(functional.embedding(ids, weights[Role.TOK_EMBEDDINGS, None]), next(dropout))
    for layer in range(config.n_layers):
        attended = x + _dropped(_attention(config, weights, x, layer, turn), next(dropout))
        added = _mlp(config, weights, x if config.parallel_residual else attended, layer)
        x = attended + _dropped(added, next(dropout))
    output = Role.TOK_EMBEDDINGS if config.tied_embeddings else Role.OUTPUT
    return functional.linear(_norm(config, weights, x, Role.FINAL_NORM, None), weights[output, None])


def _dropped(x: Tensor, factors: Tensor | None) -> Tensor:
    return x if factors is None else x * factors


def nats(found: Tensor, targets: Tensor, reduction: str = "sum") -> Tensor:
    """-log p(target), the softmax of f[rows, length, vocab_size] in f32: of all together, or f32[rows * length]."""
    return functional.cross_entropy(
        found.float().flatten(0, 1), targets.flatten(), ignore_index=NO_TARGET, reduction=reduction)


def _attention(config: ModelConfig, weights: Weights, x: Tensor, layer: int, turn: Turn) -> Tensor:
    rows, length, _ = x.shape
    normed = _norm(config, weights, x, Role.ATTN_NORM, layer)

    def heads(role: Role, bias: Role, count: int) -> Tensor:
        """[rows, count, length, head_dim]"""
        projected = functional.linear(normed, weights[role, layer], weights.get((bias, layer)))
        return projected.view(rows, length, count, config.head_dim).transpose(1, 2)

    group = config.n_heads // config.n_kv_heads
    query = _turned(heads(Role.WQ, Role.BQ, config.n_heads), turn)
    key = _turned(heads(Role.WK, Role.BK, config.n_kv_heads), turn).repeat_interleave(group, 1)
    value = heads(Role.WV, Role.BV, config.n_kv_heads).repeat_interleave(group, 1)
    attended = causal(query, key, value)
    merged = attended.transpose(1, 2).reshape(rows, length, config.n_heads * config.head_dim)
    return functional.linear(merged, weights[Role.WO, layer], weights.get((Role.BO, layer)))


def _turned(x: Tensor, turn: Turn) -> Tensor:
    """The rotary embedding on the first rotary_dim numbers of each head."""
    cos, sin, partners = (part.to(x.dtype) for part in turn)
    return x * cos + (x @ partners) * sin


def _mlp(config: ModelConfig, weights: Weights, x: Tensor, layer: int) -> Tensor:
    normed = _norm(config, weights, x, Role.MLP_NORM, layer)
    up = functional.linear(normed, weights[Role.W_UP, layer], weights.get((Role.B_UP, layer)))
    if config.family is Family.LLAMA:
        inner = functional.silu(functional.linear(normed, weights[Role.W_GATE, layer])) * up
    else:
        inner = functional.gelu(up, approximate="tanh" if config.gelu_tanh else "none")
    return functional.linear(inner, weights[Role.W_DOWN, layer], weights.get((Role.B_DOWN, layer)))


def _norm(config: ModelConfig, weights: Weights, x: Tensor, role: Role, layer: int | None) -> Tensor:
    """RMSNorm for Llama; LayerNorm, whose bias is the next role, for GPT-NeoX."""
    weight, size = weights[role, layer], (config.hidden_size,)
    if config.family is Family.LLAMA:
        return functional.rms_norm(x, size, weight, config.norm_epsilon)
    return functional.layer_norm(x, size, weight, weights[Role(role + 1), layer], config.norm_epsilon)
