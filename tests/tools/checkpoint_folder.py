"""A checkpoint folder in Hugging Face layout, small and made up, to pack and to spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.tokenizer.hugging_face import byte_level, save

CONFIG = {
    "model_type": "llama", "vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "tie_word_embeddings": True, "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 1,
    "attention_bias": False, "mlp_bias": False,
}


def make_checkpoint(folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save(byte_level("the then there that this", vocab_size=270), folder)
    save_file(tensors(), folder / "model.safetensors")
    return folder


def tensors() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (300, 64), "model.norm.weight": (64,)}
    for layer in range(2):
        part = f"model.layers.{layer}."
        shapes |= {
            part + "input_layernorm.weight": (64,), part + "post_attention_layernorm.weight": (64,),
            part + "self_attn.q_proj.weight": (64, 64), part + "self_attn.k_proj.weight": (32, 64),
            part + "self_attn.v_proj.weight": (32, 64), part + "self_attn.o_proj.weight": (64, 64),
            part + "mlp.gate_proj.weight": (96, 64), part + "mlp.up_proj.weight": (96, 64),
            part + "mlp.down_proj.weight": (64, 96)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def edit_config(folder: Path, change: dict[str, Any]) -> None:
    """Replaces keys of config.json; a value of None removes the key."""
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def edit_tensors(folder: Path, change: dict[str, NDArray[Any] | None]) -> None:
    """Replaces tensors of model.safetensors; None removes one."""
    changed = load_file(folder / "model.safetensors") | change
    save_file({name: value for name, value in changed.items() if value is not None}, folder / "model.safetensors")
