"""A GGUF file of llama.cpp: what its keys say, and where the weights lie.

llama.cpp turns neighbouring pairs of a head for the architecture `llama`, so its converter reorders the rows of queries
and keys, which is undone here; `gptneox` has its halves as the checkpoint has them, and q, k and v one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinypylm.config import Family, ModelConfig, Role, TensorSpec
from tinypylm_tools.importers import gguf_tokenizer
from tinypylm_tools.importers.gguf_container import Container, read_container
from tinypylm_tools.importers.named_tensors import open_named
from tinypylm_tools.importers.source import (
    UNPACKED,
    Layout,
    Place,
    Source,
    check_vocab_size,
    digest_names,
    f32,
)
from tinypylm_tools.importers.waiver import Waivers
from tinypylm_tools.json_fields import Fields
from tinypylm_tools.rotary_rows import neighbour_rows

GLOBAL_NAMES = {
    Role.TOK_EMBEDDINGS: "token_embd.weight", Role.OUTPUT: "output.weight", Role.FINAL_NORM: "output_norm.weight",
    Role.FINAL_NORM_BIAS: "output_norm.bias",
}
LAYER_NAMES = {
    Role.ATTN_NORM: "attn_norm.weight", Role.ATTN_NORM_BIAS: "attn_norm.bias",
    Role.WQ: "attn_q.weight", Role.WK: "attn_k.weight", Role.WV: "attn_v.weight",
    Role.WO: "attn_output.weight", Role.BO: "attn_output.bias",
    Role.MLP_NORM: "ffn_norm.weight", Role.MLP_NORM_BIAS: "ffn_norm.bias",
    Role.W_GATE: "ffn_gate.weight", Role.W_UP: "ffn_up.weight", Role.B_UP: "ffn_up.bias",
    Role.W_DOWN: "ffn_down.weight", Role.B_DOWN: "ffn_down.bias",
}
FUSED_NAMES = {
    Role.WQ: "attn_qkv.weight", Role.WK: "attn_qkv.weight", Role.WV: "attn_qkv.weight",
    Role.BQ: "attn_qkv.bias", Role.BK: "attn_qkv.bias", Role.BV: "attn_qkv.bias",
}
PARTS = {Role.WQ: 0, Role.BQ: 0, Role.WK: 1, Role.BK: 1, Role.WV: 2, Role.BV: 2}

GELU_TANH, INTERLEAVED = "tinypylm.gelu_tanh", "tinypylm.interleaved_rotary"
"""Keys of our own, for what GGUF has no key for: the shape of GELU, and pairs that were neighbours to begin with."""

_REFUSED = ("expert_count", "attention.sliding_window", "attention.scale", "logit_scale", "residual_scale",
            "embedding_scale")


def open_gguf(path: Path, waivers: Waivers) -> Source:
    """The model in a GGUF file, with the tokenizer in it. Raises ToolError for what a `.slm` cannot say."""
    container = read_container(path)
    fields = container.fields
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in _READERS:
        raise fields.unusable("general.architecture", architecture, " or ".join(f'"{name}"' for name in _READERS),
                              "Only Llama and GPT-NeoX models can be packed.")
    config = _READERS[architecture](container)
    layout = Layout(GLOBAL_NAMES[Role.OUTPUT], lambda spec: place(spec, config), ())
    kinds = sorted({tensor.kind for tensor in container.tensors.values()})
    return Source(
        f"a GGUF file with a {architecture} model in {', '.join(kinds)}", config,
        gguf_tokenizer.read_vocabulary(fields, config.vocab_size, waivers), digest_names(path),
        lambda: open_named(container.tensors, layout, config, path.name))


def _llama(container: Container) -> ModelConfig:
    keys = _keys_of(container, "llama")
    heads, head_dim = keys.integer("attention.head_count"), _head_dim(keys)
    _check_rotary(keys)
    if keys.values.get("rope.dimension_count", head_dim) != head_dim:
        raise keys.unusable("rope.dimension_count", keys.get("rope.dimension_count"), f"{head_dim}, the whole head")
    return _config(
        container, keys, Family.LLAMA,
        n_kv_heads=heads if keys.get("attention.head_count_kv") is None else keys.integer("attention.head_count_kv"),
        rotary_dim=head_dim, epsilon="attention.layer_norm_rms_epsilon",
        interleaved_rotary=container.fields.flag(INTERLEAVED))


def _gpt_neox(container: Container) -> ModelConfig:
    keys = _keys_of(container, "gptneox")
    _check_rotary(keys)
    return _config(
        container, keys, Family.GPT_NEOX, n_kv_heads=keys.integer("attention.head_count"),
        rotary_dim=keys.integer("rope.dimension_count"), epsilon="attention.layer_norm_epsilon",
        parallel_residual=keys.get("use_parallel_residual") is None or keys.flag("use_parallel_residual"),
        gelu_tanh=container.fields.flag(GELU_TANH))


_READERS: dict[str, Callable[[Container], ModelConfig]] = {"llama": _llama, "gptneox": _gpt_neox}


def _config(
    container: Container, keys: Fields, family: Family, *, n_kv_heads: int, rotary_dim: int, epsilon: str,
    parallel_residual: bool = False, interleaved_rotary: bool = False, gelu_tanh: bool = False,
) -> ModelConfig:
    vocab_size = _vocab_size(container)
    theta = keys.number("rope.freq_base") if "rope.freq_base" in keys.values else 10_000.0
    return ModelConfig(
        family, UNPACKED, tied_embeddings=GLOBAL_NAMES[Role.OUTPUT] not in container.tensors,
        parallel_residual=parallel_residual, interleaved_rotary=interleaved_rotary, gelu_tanh=gelu_tanh,
        vocab_size=vocab_size, hidden_size=keys.integer("embedding_length"), n_layers=keys.integer("block_count"),
        n_heads=keys.integer("attention.head_count"), n_kv_heads=n_kv_heads, head_dim=_head_dim(keys),
        ffn_size=keys.integer("feed_forward_length"), context_length=keys.integer("context_length"),
        rotary_dim=rotary_dim, rope_theta=f32(theta), norm_epsilon=f32(keys.number(epsilon)),
        bos_id=gguf_tokenizer.bos_id(container.fields, vocab_size),
        eos_id=gguf_tokenizer.token_id(container.fields, "tokenizer.ggml.eos_token_id", vocab_size))


def _keys_of(container: Container, architecture: str) -> Fields:
    """The keys that start with the architecture's name, without it."""
    fields = container.fields
    own = {name.removeprefix(f"{architecture}."): value for name, value in fields.values.items()
           if name.startswith(f"{architecture}.")}
    keys = Fields(own, f"{fields.where}, {architecture}", fields.code)
    for name in _REFUSED:
        if keys.get(name):
            raise keys.unusable(name, keys.get(name), "nothing or 0", "The format has nothing of the kind.")
    return keys


def _vocab_size(container: Container) -> int:
    """Rows of the embedding table, which may be more than there are tokens."""
    table = container.tensors.get(GLOBAL_NAMES[Role.TOK_EMBEDDINGS])
    rows = len(container.fields.items("tokenizer.ggml.tokens")) if table is None else table.shape[0]
    return check_vocab_size(rows, container.fields.where)


def _head_dim(keys: Fields) -> int:
    heads, hidden = keys.integer("attention.head_count"), keys.integer("embedding_length")
    for name in ("attention.key_length", "attention.value_length"):
        if keys.values.get(name, hidden // max(heads, 1)) != hidden // max(heads, 1):
            raise keys.unusable(name, keys.get(name), f"embedding_length / head_count = {hidden} / {heads}")
    if heads < 1 or hidden % heads:
        raise keys.unusable("attention.head_count", heads, f"a divisor of embedding_length = {hidden}")
    return hidden // heads


def _check_rotary(keys: Fields) -> None:
    for name, plain in (("rope.scaling.type", "none"), ("rope.scale_linear", 1)):
        if keys.values.get(name, plain) != plain:
            raise keys.unusable(name, keys.get(name), json.dumps(plain), "Scaled rotary positions cannot be packed.")


def place(spec: TensorSpec, config: ModelConfig) -> Place:
    """`blk.3.attn_q.weight`, whole or some rows of it."""
    return (_fused if config.family is Family.GPT_NEOX else _separate)(spec, config)


def _separate(spec: TensorSpec, config: ModelConfig) -> Place:
    if spec.layer is None:
        return Place(GLOBAL_NAMES[spec.role], spec.shape)
    rows = None
    if spec.role in (Role.WQ, Role.WK) and not config.interleaved_rotary:
        rows = neighbour_rows(spec.shape[0] // config.head_dim, config.head_dim, config.rotary_dim)
    return Place(f"blk.{spec.layer}.{LAYER_NAMES[spec.role]}", spec.shape, rows)


def _fused(spec: TensorSpec, config: ModelConfig) -> Place:
    if spec.layer is None or spec.role not in PARTS:
        return _separate(spec, config)
    first, count = PARTS[spec.role] * spec.shape[0], spec.shape[0]
    shape = (3 * count, *spec.shape[1:])
    return Place(f"blk.{spec.layer}.{FUSED_NAMES[spec.role]}", shape, np.arange(first, first + count))
