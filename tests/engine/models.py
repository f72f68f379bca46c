"""Sealed models of any shape, with random weights that keep activations in a sensible range."""

from __future__ import annotations

import numpy as np

from tinypylm.config import DType, Family, ModelConfig, Role, expected_tensors
from tinypylm.engine import Engine
from tinypylm.format import Model, parse
from tinypylm.hosts import Host
from tinypylm.hosts.native import NativeHost
from tinypylm_tools.quantise import encode
from tinypylm_tools.slm_writer import Payload, seal, stored_dtype

HOST = NativeHost()
_BASE = ModelConfig(
    family=Family.LLAMA, quantization=DType.F32, tied_embeddings=True, parallel_residual=False,
    interleaved_rotary=False, gelu_tanh=False, vocab_size=259, hidden_size=64, n_layers=2, n_heads=4, n_kv_heads=2,
    head_dim=16, ffn_size=96, context_length=40, rotary_dim=16, rope_theta=10_000.0, norm_epsilon=1e-5,
    bos_id=256, eos_id=257)


def config(**changes: object) -> ModelConfig:
    """A small Llama; `n_heads` and `head_dim` carry hidden_size and rotary_dim with them."""
    values = {name: getattr(_BASE, name) for name in ModelConfig.__dataclass_fields__} | changes
    values["hidden_size"] = values["n_heads"] * values["head_dim"]
    values["rotary_dim"] = changes.get("rotary_dim", values["head_dim"])
    return ModelConfig(**values)


def neox(**changes: object) -> ModelConfig:
    """A small GPT-NeoX with Pythia's choices: parallel residual, a quarter of each head turned, untied output."""
    values = {"parallel_residual": True, "tied_embeddings": False, "n_heads": 4, "rotary_dim": 4} | changes
    return config(family=Family.GPT_NEOX, n_kv_heads=values["n_heads"], **values)


def random_file(shape: ModelConfig, seed: int = 0, gain: float = 1.0) -> bytes:
    """A sealed file of this shape; `gain` scales the matrices."""
    rng = np.random.default_rng(seed)
    payloads = {}
    for spec in expected_tensors(shape):
        norm = spec.role in (Role.ATTN_NORM, Role.MLP_NORM, Role.FINAL_NORM)
        spread = 0.1 if norm else gain / np.sqrt(spec.shape[-1])
        weights = rng.standard_normal(spec.shape).astype(np.float32) * np.float32(spread) + np.float32(norm)
        dtype = stored_dtype(spec.shape, shape.quantization)
        payloads[spec.role, spec.layer] = Payload(dtype, encode(weights, dtype, spec.role.label))
    return seal(shape, payloads, None, {})


def loaded(data: bytes) -> Engine:
    return Engine.load(parse(data), data, HOST)


def parsed(data: bytes) -> Model:
    return parse(data)


def all_logits(engine: Engine, ids: list[int]) -> np.ndarray:
    """f32[len(ids), vocab_size], one step after the other from position 0."""
    rows = []
    for position, token in enumerate(ids):
        engine.step(token, position)
        rows.append(np.frombuffer(engine.logits(), np.float32))
    return np.stack(rows)


def stepped_and_chunked(data: bytes, host: Host, ids: list[int], chunk: int = 16) -> tuple[np.ndarray, bytes]:
    """Logits of single steps, and of the last token of the same ids in chunks."""
    engine = Engine.load(parsed(data), data, host)
    stepped = all_logits(engine, ids)
    for position in range(0, len(ids), chunk):
        engine.prefill(ids[position:position + chunk], position)
    chunked = engine.logits()
    engine.free()
    return stepped, chunked


def greedy(engine: Engine, ids: list[int], count: int) -> list[int]:
    """The `count` likeliest tokens after `ids`, one after the other."""
    for start in range(0, len(ids), engine.chunk_tokens):
        engine.prefill(ids[start:start + engine.chunk_tokens], start)
    out = [engine.candidates(1, 1.0, 1.0).ids[0]]
    while len(out) < count:
        engine.step(out[-1], len(ids) + len(out) - 1)
        out.append(engine.candidates(1, 1.0, 1.0).ids[0])
    return out
