"""Llama in Hugging Face layout: what config.json says, and under which names the weights lie."""

from __future__ import annotations

from tinypylm.config import Family, ModelConfig, Role, TensorSpec
from tinypylm_tools.importers import config_json
from tinypylm_tools.importers.source import UNPACKED, Layout, Place, f32
from tinypylm_tools.json_fields import Fields

_GLOBAL_NAMES = {
    Role.TOK_EMBEDDINGS: "model.embed_tokens.weight",
    Role.OUTPUT: "lm_head.weight",
    Role.FINAL_NORM: "model.norm.weight",
}
_LAYER_NAMES = {
    Role.ATTN_NORM: "input_layernorm.weight",
    Role.WQ: "self_attn.q_proj.weight",
    Role.WK: "self_attn.k_proj.weight",
    Role.WV: "self_attn.v_proj.weight",
    Role.WO: "self_attn.o_proj.weight",
    Role.MLP_NORM: "post_attention_layernorm.weight",
    Role.W_GATE: "mlp.gate_proj.weight",
    Role.W_UP: "mlp.up_proj.weight",
    Role.W_DOWN: "mlp.down_proj.weight",
}
# Older exports store the rotary frequencies, which rope_theta implies.
_IMPLIED = (".rotary_emb.inv_freq",)


def layout(_fields: Fields, _config: ModelConfig) -> Layout:
    return Layout(_GLOBAL_NAMES[Role.OUTPUT], place, _IMPLIED)


def read_config(fields: Fields) -> ModelConfig:
    """The configuration that config.json describes. Raises ToolError for what a Llama `.slm` cannot say."""
    _check_features(fields)
    rope, heads = config_json.rope_parameters(fields), fields.integer("num_attention_heads")
    head_dim = config_json.head_dim(fields)
    return ModelConfig(
        Family.LLAMA, UNPACKED, tied_embeddings=fields.flag("tie_word_embeddings"), parallel_residual=False,
        interleaved_rotary=False, gelu_tanh=False, vocab_size=config_json.vocab_size(fields),
        hidden_size=fields.integer("hidden_size"), n_layers=fields.integer("num_hidden_layers"), n_heads=heads,
        n_kv_heads=heads if fields.get("num_key_value_heads") is None else fields.integer("num_key_value_heads"),
        head_dim=head_dim, ffn_size=fields.integer("intermediate_size"),
        context_length=fields.integer("max_position_embeddings"), rotary_dim=head_dim,
        rope_theta=f32(config_json.first_number(((rope, "rope_theta"), (fields, "rope_theta")), 10_000.0)),
        norm_epsilon=f32(fields.number("rms_norm_eps")),
        bos_id=config_json.token(fields, "bos_token_id"), eos_id=config_json.token(fields, "eos_token_id"))


def place(spec: TensorSpec) -> Place:
    """`model.layers.3.self_attn.q_proj.weight`, whole."""
    if spec.layer is None:
        return Place(_GLOBAL_NAMES[spec.role], spec.shape)
    return Place(f"model.layers.{spec.layer}.{_LAYER_NAMES[spec.role]}", spec.shape)


def _check_features(fields: Fields) -> None:
    for name in ("attention_bias", "mlp_bias"):
        if fields.flag(name):
            raise fields.unusable(name, True, "false", "The Llama family of the format has no biases.")
    activation = fields.values.get("hidden_act", "silu")
    if activation != "silu":
        raise fields.unusable("hidden_act", activation, '"silu"')
