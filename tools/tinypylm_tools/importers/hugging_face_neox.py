"""GPT-NeoX in Hugging Face layout: what config.json says, and where the weights lie.

query_key_value is stored fused, as [heads, 3, head_dim, hidden]; queries, keys and values are rows of it. A checkpoint
with attention_bias false has no biases in attention; they are packed as zeros, which changes nothing.
"""

from __future__ import annotations

import numpy as np

from tinypylm.config import Family, ModelConfig, Role, TensorSpec
from tinypylm_tools.importers import config_json
from tinypylm_tools.importers.source import UNPACKED, Layout, Place, Rows, f32
from tinypylm_tools.json_fields import Fields

_GLOBAL_NAMES = {
    Role.TOK_EMBEDDINGS: "gpt_neox.embed_in.weight",
    Role.OUTPUT: "embed_out.weight",
    Role.FINAL_NORM: "gpt_neox.final_layer_norm.weight",
    Role.FINAL_NORM_BIAS: "gpt_neox.final_layer_norm.bias",
}
_LAYER_NAMES = {
    Role.ATTN_NORM: "input_layernorm.weight",
    Role.ATTN_NORM_BIAS: "input_layernorm.bias",
    Role.WO: "attention.dense.weight",
    Role.BO: "attention.dense.bias",
    Role.MLP_NORM: "post_attention_layernorm.weight",
    Role.MLP_NORM_BIAS: "post_attention_layernorm.bias",
    Role.W_UP: "mlp.dense_h_to_4h.weight",
    Role.B_UP: "mlp.dense_h_to_4h.bias",
    Role.W_DOWN: "mlp.dense_4h_to_h.weight",
    Role.B_DOWN: "mlp.dense_4h_to_h.bias",
}
_FUSED = {
    Role.WQ: (0, "attention.query_key_value.weight"),
    Role.WK: (1, "attention.query_key_value.weight"),
    Role.WV: (2, "attention.query_key_value.weight"),
    Role.BQ: (0, "attention.query_key_value.bias"),
    Role.BK: (1, "attention.query_key_value.bias"),
    Role.BV: (2, "attention.query_key_value.bias"),
}
_ATTENTION_BIASES = (Role.BQ, Role.BK, Role.BV, Role.BO)
# Older exports store the causal mask and the rotary frequencies.
_IMPLIED = (".attention.bias", ".attention.masked_bias", ".attention.rotary_emb.inv_freq")
_TANH_BY_ACTIVATION = {
    "gelu": False, "gelu_python": False,
    "gelu_new": True, "gelu_fast": True, "gelu_accurate": True, "gelu_pytorch_tanh": True, "gelu_python_tanh": True,
}


def layout(fields: Fields, config: ModelConfig) -> Layout:
    """Where the tensors of the checkpoint with this config.json lie."""
    attention_bias = fields.get("attention_bias") is None or fields.flag("attention_bias")

    def placed(spec: TensorSpec) -> Place | None:
        return place(spec, config) if attention_bias or spec.role not in _ATTENTION_BIASES else None

    return Layout(_GLOBAL_NAMES[Role.OUTPUT], placed, _IMPLIED)


def read_config(fields: Fields) -> ModelConfig:
    """The configuration that config.json describes. Raises ToolError for what a GPT-NeoX `.slm` cannot say."""
    rope, heads = config_json.rope_parameters(fields), fields.integer("num_attention_heads")
    head_dim = config_json.head_dim(fields)
    share = config_json.first_number(((rope, "partial_rotary_factor"), (fields, "rotary_pct")), 0.25)
    theta = config_json.first_number(
        ((rope, "rope_theta"), (fields, "rotary_emb_base"), (fields, "rope_theta")), 10_000.0)
    return ModelConfig(
        Family.GPT_NEOX, UNPACKED, tied_embeddings=fields.flag("tie_word_embeddings"),
        parallel_residual=fields.get("use_parallel_residual") is None or fields.flag("use_parallel_residual"),
        interleaved_rotary=False, gelu_tanh=_gelu_tanh(fields), vocab_size=config_json.vocab_size(fields),
        hidden_size=fields.integer("hidden_size"), n_layers=fields.integer("num_hidden_layers"), n_heads=heads,
        n_kv_heads=heads, head_dim=head_dim, ffn_size=fields.integer("intermediate_size"),
        context_length=fields.integer("max_position_embeddings"), rotary_dim=_rotary_dim(fields, head_dim, share),
        rope_theta=f32(theta), norm_epsilon=f32(fields.number("layer_norm_eps")),
        bos_id=config_json.token(fields, "bos_token_id"), eos_id=config_json.token(fields, "eos_token_id"))


def place(spec: TensorSpec, config: ModelConfig) -> Place:
    """`gpt_neox.layers.3.mlp.dense_h_to_4h.weight`, or rows of a fused tensor."""
    if spec.layer is None:
        return Place(_GLOBAL_NAMES[spec.role], spec.shape)
    if spec.role in _FUSED:
        part, name = _FUSED[spec.role]
        shape = (3 * spec.shape[0], *spec.shape[1:])
        return Place(f"gpt_neox.layers.{spec.layer}.{name}", shape, _fused_rows(config, part))
    return Place(f"gpt_neox.layers.{spec.layer}.{_LAYER_NAMES[spec.role]}", spec.shape)


def _fused_rows(config: ModelConfig, part: int) -> Rows:
    rows = np.arange(3 * config.n_heads * config.head_dim)
    return rows.reshape(config.n_heads, 3, config.head_dim)[:, part].reshape(-1)


def _gelu_tanh(fields: Fields) -> bool:
    activation = fields.values.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in _TANH_BY_ACTIVATION:
        raise fields.unusable("hidden_act", activation, " or ".join(_TANH_BY_ACTIVATION))
    return _TANH_BY_ACTIVATION[activation]


def _rotary_dim(fields: Fields, head_dim: int, share: float) -> int:
    """int(head_dim * share), as transformers computes it."""
    if not 0 < share <= 1:
        raise fields.unusable("rotary_pct", share, "a share of head_dim, above 0 and at most 1")
    return int(head_dim * share)
