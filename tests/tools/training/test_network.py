"""The networks that are trained are those that run: torch against the NumPy reference, for every flag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from tests.reference import gpt_neox, llama
from tinypylm.config import DType, Family, ModelConfig
from tinypylm.format import parse
from tinypylm_tools.slm_writer import Payload, seal
from tinypylm_tools.training import network
from tinypylm_tools.training.network import Weights

LLAMA = ModelConfig(
    family=Family.LLAMA, quantization=DType.F32, tied_embeddings=True, parallel_residual=False,
    interleaved_rotary=False, gelu_tanh=False, vocab_size=259, hidden_size=64, n_layers=2, n_heads=4, n_kv_heads=2,
    head_dim=16, ffn_size=96, context_length=32, rotary_dim=16, rope_theta=10000.0, norm_epsilon=1e-5, bos_id=256,
    eos_id=257)
NEOX = replace(LLAMA, family=Family.GPT_NEOX, n_kv_heads=4, rotary_dim=4, parallel_residual=True)
CONFIGS = {
    "llama": LLAMA, "interleaved": replace(LLAMA, interleaved_rotary=True),
    "untied": replace(LLAMA, tied_embeddings=False), "neox": NEOX,
    "sequential": replace(NEOX, parallel_residual=False), "tanh": replace(NEOX, gelu_tanh=True),
}
IDS = [256, 3, 200, 3, 77, 12, 12, 0, 255]


def spread(config: ModelConfig) -> Weights:
    """Initial weights made ten times as large, with noise on norms and biases, so that nothing hides."""
    generator = torch.Generator().manual_seed(9)
    weights = network.initial_weights(config, 4)
    return {key: value * 10 if value.dim() == 2 else value + torch.randn(value.shape, generator=generator) / 4
            for key, value in weights.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_of_the_reference(name: str) -> None:
    config = CONFIGS[name]
    weights = spread(config)
    data = seal(config, {key: Payload(DType.F32, value.numpy().tobytes()) for key, value in weights.items()}, None, {})
    reference = llama if config.family is Family.LLAMA else gpt_neox
    expected = reference.logits(parse(data), data, IDS)
    turn = network.turns(config, torch.device("cpu"))
    found = network.logits(config, weights, turn, torch.tensor([IDS[::-1], IDS]))[1]
    assert np.abs(found.numpy() - expected).max() < 1e-4 * np.abs(expected).max()


def test_initial_weights_are_a_function_of_the_seed() -> None:
    one, same, other = (network.initial_weights(LLAMA, seed) for seed in (1, 1, 2))
    assert all(one[key].equal(same[key]) for key in one)
    assert not all(one[key].equal(other[key]) for key in one)


def test_what_stands_behind_a_token_does_not_change_its_logits() -> None:
    weights, turn = spread(LLAMA), network.turns(LLAMA, torch.device("cpu"))
    short = network.logits(LLAMA, weights, turn, torch.tensor([IDS]))
    padded = network.logits(LLAMA, weights, turn, torch.tensor([IDS + [0] * 7]))
    assert torch.allclose(short, padded[:, : len(IDS)], atol=1e-5)
