"""`tinypylm inspect`: what a file holds, for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path

import click

from tinypylm.format import Model, Tensor
from tinypylm.memory import plan_memory
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.terminal import say

Json = dict[str, "Json"] | list["Json"] | str | int | float | None

_DIMENSIONS = (
    "vocab_size", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_size", "context_length",
    "rotary_dim", "rope_theta", "norm_epsilon", "bos_id", "eos_id",
)
_FLAGS = ("tied_embeddings", "parallel_residual", "interleaved_rotary", "gelu_tanh")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def command(model: Path, as_json: bool) -> None:
    """Show what the file MODEL holds: configuration, memory, tokenizer, metadata, tensors.

    \b
    Example:
      tinypylm inspect models/storyteller-2m-q8_0.slm
    """
    file = open_model(model)
    say(json.dumps(description(file), ensure_ascii=False) if as_json else "\n".join(_lines(file)))


def description(file: ModelFile) -> dict[str, Json]:
    """Everything about the file but its weights, as JSON."""
    model, config = file.model, file.model.config
    plan = plan_memory(config, model.file_bytes)
    return {
        "file": str(file.path), "bytes": model.file_bytes, "sha256": file.sha256,
        "checksum": f"{model.header.checksum:08x}", "family": config.family.name.lower(),
        "quantization": config.quantization.label, "parameters": parameters(model),
        "config": {name: getattr(config, name) for name in (*_DIMENSIONS, *_FLAGS)},
        "memory": {"total_bytes": plan.total_bytes, "kv_cache_bytes": plan.kv_cache_bytes,
                   "scratch_arena_bytes": plan.scratch_arena_bytes},
        "tokenizer": _tokenizer(model),
        "metadata": json.loads(json.dumps(model.metadata)),
        "tensors": [_tensor(tensor) for tensor in model.tensors],
    }


def parameters(model: Model) -> int:
    return sum(prod(tensor.shape) for tensor in model.tensors)


def _tokenizer(model: Model) -> dict[str, Json]:
    vocabulary = model.tokenizer
    return {
        "kind": "bpe1" if model.header.tokenizer_bytes else "bytes",
        "pre_tokenizer": vocabulary.pre_tokenizer.name.lower(),
        "tokens": len(vocabulary.tokens), "merges": len(vocabulary.merges) // 3,
    }


def _tensor(tensor: Tensor) -> dict[str, Json]:
    return {
        "role": tensor.role.label, "layer": tensor.layer, "dtype": tensor.dtype.label, "shape": list(tensor.shape),
        "offset": tensor.offset, "bytes": tensor.payload_bytes, "checksum": f"{tensor.checksum:08x}",
    }


def _lines(file: ModelFile) -> Iterator[str]:
    model, config = file.model, file.model.config
    plan = plan_memory(config, model.file_bytes)
    yield f"{file.path}: {config.family.name.lower()}, {config.quantization.label}, {parameters(model):,} parameters"
    yield f"{model.file_bytes:,} bytes, sha256 {file.sha256}"
    yield (f"{plan.total_bytes:,} bytes of memory when loaded, of which KV cache {plan.kv_cache_bytes:,}, "
           f"scratch {plan.scratch_arena_bytes:,}")
    yield ""
    yield from (f"{name:16} {_shown(getattr(config, name))}" for name in _DIMENSIONS)
    yield f"{'flags':16} {', '.join(name for name in _FLAGS if getattr(config, name)) or 'none'}"
    yield f"{'tokenizer':16} {', '.join(f'{key} {value}' for key, value in _tokenizer(model).items())}"
    yield ""
    for key, value in model.metadata.items():
        yield f"{key:16} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
    yield ""
    yield f"{'tensor':26} {'type':5} {'shape':>14} {'offset':>10} {'bytes':>10}"
    for tensor in model.tensors:
        shape = " x ".join(map(str, tensor.shape))
        yield f"{tensor.name:26} {tensor.dtype.label:5} {shape:>14} {tensor.offset:>10} {tensor.payload_bytes:>10}"


def _shown(value: float | int | None) -> str:
    if isinstance(value, float):
        return f"{value:.7g}"
    return "none" if value is None else str(value)
