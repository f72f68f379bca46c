"""AdamW for everything, or Muon for the matrices inside the layers and AdamW for embeddings, norms and biases."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tinypylm.config import Role
from tinypylm_tools.slm_writer import TensorKey
from tinypylm_tools.training.description import Training
from tinypylm_tools.training.network import Weights

_TABLES = {Role.TOK_EMBEDDINGS, Role.OUTPUT}


def optimisers(weights: Weights, training: Training) -> list[torch.optim.Optimizer]:
    """Weight decay is for matrices only. Muon's updates are scaled to AdamW's size, so one learning rate does for both
    (Liu and others, "Muon is Scalable for LLM Training", 2025)."""
    rate, decay = training.learning_rate, training.weight_decay
    muon = [weight for key, weight in weights.items() if training.optimiser == "muon" and _is_inner(key, weight)]
    rest = [weight for key, weight in weights.items() if not (training.optimiser == "muon" and _is_inner(key, weight))]
    groups = [{"params": [weight for weight in rest if weight.dim() == 2], "weight_decay": decay},
              {"params": [weight for weight in rest if weight.dim() != 2], "weight_decay": 0.0}]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=rate, betas=(0.9, training.beta2), fused=True)]
    if muon:
        made.append(torch.optim.Muon(muon, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return made


def set_rate(made: Sequence[torch.optim.Optimizer], rate: float) -> None:
    for optimiser in made:
        for group in optimiser.param_groups:
            group["lr"] = rate


def gradients_clipped(weights: Weights, most: float) -> float:
    """The norm of all gradients, which are scaled down to `most` where it is above."""
    return float(torch.nn.utils.clip_grad_norm_(list(weights.values()), most))


def _is_inner(key: TensorKey, weight: Tensor) -> bool:
    return weight.dim() == 2 and key[0] not in _TABLES


