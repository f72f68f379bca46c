"""Dropout whose choices are a function of a seed: the same in compiled code, in torch's own and on a GPU.

They are drawn before a network is run and are inputs of it; torch draws inside, which is slow on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tinypylm.config import ModelConfig


def factors(config: ModelConfig, share: float, ids: Tensor, seed: Tensor) -> Tensor | None:
    """What the states of ids[rows, length] are multiplied with, behind the embeddings and each block, bf16[1 + 2 *
    n_layers, rows, length, hidden_size]: 0 for a `share` of them, else 1 / (1 - share). `seed`: int32[]."""
    if not share:
        return None
    shape = (1 + 2 * config.n_layers, *ids.shape, config.hidden_size)
    places = torch.arange(shape[0] * ids.numel() * shape[-1], dtype=torch.int32, device=ids.device)
    kept = (mixed(places + mixed(seed)) & 0xFFFFFF) >= round(share * (1 << 24))
    return torch.where(kept, 1 / (1 - share), 0.0).to(torch.bfloat16).view(shape)


def mixed(x: Tensor) -> Tensor:
    """int32[..] to int32[..], one to one, no bit of which tells of another (Wellons, hash-prospector, lowbias32)."""
    x = (x ^ _right(x, 16)) * 0x21F0AAAD
    x = (x ^ _right(x, 15)) * 0x735A2D97
    return x ^ _right(x, 15)


def _right(x: Tensor, bits: int) -> Tensor:
    """As if x had no sign."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)
