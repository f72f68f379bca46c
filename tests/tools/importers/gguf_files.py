"""GGUF files, written with the package `gguf` as llama.cpp's converter lays them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[Any]
Encode = Callable[[str, Array], tuple[Array, gguf.GGMLQuantizationType | None]]

_LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
}
_GLOBAL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight", "gpt_neox.embed_in.weight": "token_embd.weight",
    "embed_out.weight": "output.weight", "gpt_neox.final_layer_norm.weight": "output_norm.weight",
    "gpt_neox.final_layer_norm.bias": "output_norm.bias",
}


def plain(_name: str, values: Array) -> tuple[Array, None]:
    return values, None


def write_llama(folder: Path, config: dict[str, Any], tokens: dict[str, Any], encode: Encode = plain) -> Path:
    """The Llama checkpoint of `folder` as model.gguf."""
    def converted(name: str, values: Array) -> Array:
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(name.split(".")[-2])
        return values if heads is None else permuted(values, config[heads])

    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    put_dimensions(writer, config)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    return finish(writer, folder, tokens, converted, encode)


def write_neox(folder: Path, config: dict[str, Any], tokens: dict[str, Any], encode: Encode = plain) -> Path:
    """The GPT-NeoX checkpoint of `folder` as model.gguf."""
    heads = config["num_attention_heads"]

    def converted(name: str, values: Array) -> Array:
        if "query_key_value" not in name:
            return values
        parts = values.reshape(heads, 3, -1, *values.shape[1:])
        return np.concatenate([parts[:, part].reshape(-1, *values.shape[1:]) for part in range(3)])

    writer = gguf.GGUFWriter(folder / "model.gguf", "gptneox")
    put_dimensions(writer, config)
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_rope_dimension_count(int(config["rotary_pct"] * (config["hidden_size"] // heads)))
    writer.add_parallel_residual(config["use_parallel_residual"])
    return finish(writer, folder, tokens, converted, encode)


def permuted(values: Array, heads: int) -> Array:
    """Rows as `convert_hf_to_gguf.py` orders those of queries and keys of a Llama."""
    return values.reshape(heads, 2, -1, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)


def put_dimensions(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])


def finish(
    writer: gguf.GGUFWriter, folder: Path, tokens: dict[str, Any], converted: Callable[[str, Array], Array],
    encode: Encode,
) -> Path:
    put_keys(writer, tokens)
    for name, values in load_file(folder / "model.safetensors").items():
        data, kind = encode(name, converted(name, values))
        writer.add_tensor(gguf_name(name), data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "model.gguf"


def put_keys(writer: gguf.GGUFWriter, keys: dict[str, Any]) -> None:
    """`tokenizer.ggml.` keys by their last part, with the type that the writer chooses for the value."""
    adders = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string, list: writer.add_array}
    for name, value in keys.items():
        adders[type(value)](f"tokenizer.ggml.{name}", value)


def gguf_name(name: str) -> str:
    if name in _GLOBAL_NAMES:
        return _GLOBAL_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    return f"blk.{layer}.{_LAYER_NAMES[part]}.{kind}"


def byte_level_keys(tokenizer: Any, pre: str, size: int = 0) -> dict[str, Any]:
    """What the converter writes of a byte-level tokenizer of the package `tokenizers`, filled up to `size` tokens."""
    import json

    model = json.loads(tokenizer.to_str())["model"]
    texts = sorted(model["vocab"], key=model["vocab"].get)
    texts += [f"[PAD{token}]" for token in range(len(texts), size)]
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    return {
        "model": "gpt2", "pre": pre, "tokens": texts,
        "token_type": [5 if text.startswith("[PAD") else 3 if text in special else 1 for text in texts],
        "merges": [" ".join(pair) for pair in model["merges"]], "bos_token_id": 0, "eos_token_id": 1,
        "add_bos_token": True}
