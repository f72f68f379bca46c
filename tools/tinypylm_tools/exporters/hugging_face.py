"""A model as a checkpoint folder in Hugging Face layout, in f32: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tinypylm.config import Family, ModelConfig, Role, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Model
from tinypylm_tools.exporters.tokenizer_json import tokenizer_json
from tinypylm_tools.importers import hugging_face_llama, hugging_face_neox
from tinypylm_tools.json_fields import Json
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import F32, decode
from tinypylm_tools.rotary_rows import neighbour_rows
from tinypylm_tools.slm_writer import unwritable

_TURNING = (Role.WQ, Role.WK, Role.BQ, Role.BK)


def export_folder(file: ModelFile, folder: Path) -> None:
    """Writes the model of `file` into the new or empty `folder`. Raises ToolError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{folder} is there and not empty; expected a new folder. Name "
                        "another one, or empty it.", {"file": str(folder)})
    texts = {name: json.dumps(value, ensure_ascii=False, indent=1) for name, value in _documents(file.model).items()}
    try:
        _write(folder, texts, _tensors(file))
    except (OSError, SafetensorError) as error:
        raise unwritable(folder, error) from error


def _write(folder: Path, texts: Mapping[str, str], tensors: dict[str, F32]) -> None:
    """All files in a folder aside, which then takes its place."""
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for name, text in texts.items():
            (made / name).write_text(text, encoding="utf-8")
        save_file(tensors, made / "model.safetensors", {"format": "pt"})
        (made / "model.safetensors").chmod(0o644)
        made.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _tensors(file: ModelFile) -> dict[str, F32]:
    config = file.model.config
    tensors: dict[str, F32] = {}
    for spec in expected_tensors(config):
        tensor = file.model.tensor(spec.role, spec.layer)
        values = decode(file.data[tensor.offset : tensor.offset + tensor.payload_bytes], tensor.dtype, tensor.shape)
        if config.interleaved_rotary and spec.role in _TURNING:
            heads = spec.shape[0] // config.head_dim
            values = values[neighbour_rows(heads, config.head_dim, config.rotary_dim)]
        llama = config.family is Family.LLAMA
        place = hugging_face_llama.place(spec) if llama else hugging_face_neox.place(spec, config)
        whole = tensors.setdefault(place.name, np.zeros(place.shape, np.float32))
        whole[slice(None) if place.rows is None else place.rows] = values
    return tensors


def _documents(model: Model) -> dict[str, Json]:
    config = model.config
    tokenizer = tokenizer_json(model.tokenizer, config.bos_id)
    named = {"bos_token": config.bos_id, "eos_token": config.eos_id}
    texts = {name: model.tokenizer.tokens[token].decode() for name, token in named.items() if token is not None}
    return {
        "config.json": _llama(config) if config.family is Family.LLAMA else _gpt_neox(config),
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
            "model_max_length": config.context_length, **texts},
    }


def _common(config: ModelConfig) -> dict[str, Json]:
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size, "intermediate_size": config.ffn_size,
        "num_hidden_layers": config.n_layers, "num_attention_heads": config.n_heads,
        "max_position_embeddings": config.context_length, "tie_word_embeddings": config.tied_embeddings,
        "bos_token_id": config.bos_id, "eos_token_id": config.eos_id, "torch_dtype": "float32"}


def _llama(config: ModelConfig) -> dict[str, Json]:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", **_common(config),
        "num_key_value_heads": config.n_kv_heads, "head_dim": config.head_dim, "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rope_theta, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}


def _gpt_neox(config: ModelConfig) -> dict[str, Json]:
    return {
        "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", **_common(config),
        "layer_norm_eps": config.norm_epsilon, "rotary_pct": _rotary_share(config.rotary_dim, config.head_dim),
        "rotary_emb_base": config.rope_theta, "use_parallel_residual": config.parallel_residual,
        "hidden_act": "gelu_new" if config.gelu_tanh else "gelu", "attention_bias": True}


def _rotary_share(rotary_dim: int, head_dim: int) -> float:
    """A share of which int(head_dim * share) is rotary_dim, which the plain quotient sometimes misses by one."""
    share = rotary_dim / head_dim
    return share if int(head_dim * share) == rotary_dim else (rotary_dim + 0.5) / head_dim
