"""A model whose greedy text is over with its first token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinypylm.config import DType
from tinypylm.engine import Engine
from tinypylm.format import parse
from tinypylm.format.vocabulary import byte_vocabulary
from tinypylm.hosts.native import NativeHost
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.bench_models import Shape, random_model
from tinypylm_tools.benchmark.comparison import prompt_of
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.slm_writer import Payload, seal

SMALL = Shape(hidden_size=64, n_layers=1, n_heads=2, n_kv_heads=1, ffn_size=64, vocab_size=320, context_length=64)
METADATA = {"name": "Short", "lineage_sha256": {"base": "0" * 64}}


def ending_at_once(path: Path, prompt_tokens: int) -> tuple[ModelFile, str]:
    """Written to `path`: its end token is the first one that it chooses behind the prompt of so many tokens."""
    data = random_model(SMALL, DType.Q8_0)
    model = parse(data)
    prompt = prompt_of(model, prompt_tokens)
    config = replace(model.config, eos_id=_first(data, Tokenizer.of(model).encode(prompt)))
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    path.write_bytes(seal(config, payloads, byte_vocabulary(config.vocab_size), METADATA))
    return open_model(path), prompt


def _first(data: bytes, ids: list[int]) -> int:
    engine = Engine.load(parse(data), data, NativeHost())
    for position, token in enumerate(ids):
        engine.step(token, position)
    first = engine.candidates(1, 1.0, 1.0).ids[0]
    engine.free()
    return first
