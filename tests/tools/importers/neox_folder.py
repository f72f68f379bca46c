"""A GPT-NeoX checkpoint folder, small and made up, in one file or in shards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.tokenizer.hugging_face import byte_level, save

CONFIG = {
    "model_type": "gpt_neox", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 128, "layer_norm_eps": 1e-5, "rotary_pct": 0.25,
    "rotary_emb_base": 10000, "tie_word_embeddings": False, "hidden_act": "gelu", "use_parallel_residual": True,
    "bos_token_id": 0, "eos_token_id": 1,
}


def make_neox(folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save(byte_level("the then there that this", vocab_size=270), folder)
    save_file(tensors(), folder / "model.safetensors")
    return folder


def tensors() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "gpt_neox.embed_in.weight": (300, 64), "embed_out.weight": (300, 64),
        "gpt_neox.final_layer_norm.weight": (64,), "gpt_neox.final_layer_norm.bias": (64,)}
    for layer in range(2):
        part = f"gpt_neox.layers.{layer}."
        for name, shape in (
            ("input_layernorm", (64,)), ("post_attention_layernorm", (64,)), ("attention.query_key_value", (192, 64)),
            ("attention.dense", (64, 64)), ("mlp.dense_h_to_4h", (96, 64)), ("mlp.dense_4h_to_h", (64, 96)),
        ):
            shapes |= {f"{part}{name}.weight": shape, f"{part}{name}.bias": shape[:1]}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def split_into_shards(folder: Path) -> dict[str, str]:
    """Replaces model.safetensors by three files and their index; the index's weight_map."""
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shard_of = {name: f"model-0000{1 + at % 3}-of-00003.safetensors" for at, name in enumerate(sorted(whole))}
    for shard in set(shard_of.values()):
        save_file({name: whole[name] for name in whole if shard_of[name] == shard}, folder / shard)
    write_index(folder, shard_of)
    return shard_of


def write_index(folder: Path, shard_of: dict[str, str]) -> None:
    index = {"metadata": {"total_size": 0}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
