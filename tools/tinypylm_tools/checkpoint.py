"""A Llama checkpoint in Hugging Face layout: config.json and model.safetensors. What is not certain is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from tinypylm.config import DType, Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.json_fields import Fields, missing, read_json
from tinypylm_tools.quantise import F32

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
_IMPLIED_SUFFIX = ".rotary_emb.inv_freq"
_LM_HEAD = _GLOBAL_NAMES[Role.OUTPUT]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of the safetensors file, as bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def read_config(folder: Path, quantization: DType, context_length: int | None = None) -> ModelConfig:
    """The configuration that config.json describes. Raises ToolError for what a Llama `.slm` cannot say."""
    fields = read_json(folder / "config.json", ErrorCode.UNSUPPORTED_CHECKPOINT)
    _check_architecture(fields)
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    trained, vocab_size = fields.integer("max_position_embeddings"), fields.integer("vocab_size")
    head_dim = hidden // max(heads, 1) if fields.get("head_dim") is None else fields.integer("head_dim")
    if heads * head_dim != hidden:
        raise fields.unusable("head_dim", head_dim, f"hidden_size / num_attention_heads = {hidden} / {heads}")
    return ModelConfig(
        Family.LLAMA, quantization, tied_embeddings=fields.flag("tie_word_embeddings"), parallel_residual=False,
        interleaved_rotary=False, gelu_tanh=False, vocab_size=vocab_size, hidden_size=hidden,
        n_layers=fields.integer("num_hidden_layers"), n_heads=heads,
        n_kv_heads=heads if fields.get("num_key_value_heads") is None else fields.integer("num_key_value_heads"),
        head_dim=head_dim, ffn_size=fields.integer("intermediate_size"),
        context_length=_context_length(context_length, trained), rotary_dim=head_dim,
        rope_theta=_f32(_rope_theta(fields)), norm_epsilon=_f32(fields.number("rms_norm_eps")),
        bos_id=_token(fields, "bos_token_id", vocab_size), eos_id=_token(fields, "eos_token_id", vocab_size))


def read_weights(folder: Path, config: ModelConfig) -> Iterator[tuple[TensorSpec, F32]]:
    """Every tensor of the model in file order, as f32. Raises ToolError before the first where the set is wrong."""
    stored = _stored_tensors(folder)
    specs = expected_tensors(config)
    _check_tied_head(stored, config)
    _check_names(stored, specs)
    for spec in specs:
        yield spec, _weights(stored.pop(hugging_face_name(spec)), spec)


def hugging_face_name(spec: TensorSpec) -> str:
    """The name of a tensor in a Llama checkpoint: `model.layers.3.self_attn.q_proj.weight`."""
    if spec.layer is None:
        return _GLOBAL_NAMES[spec.role]
    return f"model.layers.{spec.layer}.{_LAYER_NAMES[spec.role]}"


def _check_architecture(fields: Fields) -> None:
    if fields.get("model_type") != "llama":
        raise fields.unusable("model_type", fields.get("model_type"), '"llama"',
                              "Only Llama checkpoints can be packed.")
    for name in ("attention_bias", "mlp_bias"):
        if fields.flag(name):
            raise fields.unusable(name, True, "false", "The Llama family of the format has no biases.")
    activation = fields.values.get("hidden_act", "silu")
    if activation != "silu":
        raise fields.unusable("hidden_act", activation, '"silu"')


def _rope_theta(fields: Fields) -> float:
    """From `rope_theta`, or the `rope_parameters` of newer exports; 10000 where neither stands, as in transformers."""
    scaling = fields.get("rope_scaling") or fields.get("rope_parameters")
    if scaling is not None:
        rope = fields.nested(scaling, "rope_scaling")
        kind = rope.get("rope_type") or rope.get("type") or "default"
        if kind != "default":
            raise fields.unusable("rope_scaling", scaling, "null", "Scaled rotary positions cannot be packed.")
        if "rope_theta" in rope.values:
            return rope.number("rope_theta")
    return fields.number("rope_theta") if "rope_theta" in fields.values else 10000.0


def _context_length(wanted: int | None, trained: int) -> int:
    if wanted is not None and not 1 <= wanted <= trained:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"A context of {wanted} tokens was asked for; the model was trained "
            f"for {trained}. Ask for 1 to {trained}.", {"found": wanted, "expected": trained})
    return wanted or trained


def _token(fields: Fields, name: str, vocab_size: int) -> int | None:
    """A token id; a list is accepted where it has one element."""
    value = fields.get(name)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < vocab_size:
        raise fields.unusable(name, value, f"one token id below vocab_size = {vocab_size}, or null",
                              "Edit config.json to name the one that counts.")
    return value


def _f32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise _no_weights(path)
    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]  # the package has no types
    except SafetensorError as error:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"{path} is not a sound safetensors file ({error}). "
            "Download or export it again.", {"file": path.name}) from error
    return {name: StoredTensor(entry["dtype"], tuple(entry["shape"]), entry["data"]) for name, entry in entries}


def _no_weights(path: Path) -> ToolError:
    others = {"model.safetensors.index.json": "a checkpoint in several shards", "pytorch_model.bin": "a pickle"}
    for name, kind in others.items():
        if (path.parent / name).is_file():
            return ToolError(
                ErrorCode.MISSING_FILE, f"{path} is missing; {name} means {kind}. Load the model in transformers and "
                "save it with save_pretrained(folder, max_shard_size='1GB').", {"file": path.name})
    return missing(path)


def _check_tied_head(stored: dict[str, StoredTensor], config: ModelConfig) -> None:
    """A tied model may carry a copy of its embeddings as lm_head, which is dropped; any other lm_head is an error."""
    if not config.tied_embeddings or _LM_HEAD not in stored:
        return
    if stored.pop(_LM_HEAD) != stored.get(_GLOBAL_NAMES[Role.TOK_EMBEDDINGS]):
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"tie_word_embeddings in config.json is true, but {_LM_HEAD} differs "
            f"from {_GLOBAL_NAMES[Role.TOK_EMBEDDINGS]}. Set it to false, or remove {_LM_HEAD}.", {"tensor": _LM_HEAD})


def _check_names(stored: dict[str, StoredTensor], specs: tuple[TensorSpec, ...]) -> None:
    expected = {hugging_face_name(spec) for spec in specs}
    lacking = sorted(expected - stored.keys())
    if lacking:
        hint = " Set tie_word_embeddings to true if the output shares the embeddings." if _LM_HEAD in lacking else ""
        raise _wrong_set(f"lacks {lacking[0]}", len(lacking), hint)
    extra = sorted(name for name in stored.keys() - expected if not name.endswith(_IMPLIED_SUFFIX))
    if extra:
        raise _wrong_set(f"holds {extra[0]}, which a Llama model of this configuration does not have", len(extra), "")


def _wrong_set(what: str, count: int, hint: str) -> ToolError:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"model.safetensors {what}{others}. Its tensors must be exactly those that "
        f"config.json implies.{hint}")


def _weights(stored: StoredTensor, spec: TensorSpec) -> F32:
    name = hugging_face_name(spec)
    if stored.shape != spec.shape:
        raise ToolError(
            ErrorCode.SHAPE_MISMATCH, f"{name} has shape {stored.shape}, expected {spec.shape} from config.json.",
            {"tensor": name, "found": json.dumps(stored.shape), "expected": json.dumps(spec.shape)})
    if stored.dtype == "BF16":
        return (np.frombuffer(stored.data, "<u2").astype("<u4") << 16).view("<f4").reshape(spec.shape)
    if stored.dtype not in ("F32", "F16"):
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"{name} is stored as {stored.dtype}; expected F32, F16 or BF16. "
            "Convert the checkpoint to one of these.", {"tensor": name})
    return np.frombuffer(stored.data, "<f4" if stored.dtype == "F32" else "<f2").reshape(spec.shape).astype(np.float32)
