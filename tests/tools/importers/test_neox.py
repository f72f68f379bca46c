"""GPT-NeoX folders: the fused tensor comes apart, and what config.json says becomes flags and dimensions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.engine.models import HOST, all_logits
from tests.tools.checkpoint_folder import edit_config, edit_tensors
from tests.tools.importers.neox_folder import CONFIG, make_neox
from tests.tools.packed import pack_f32, plan, stored
from tinypylm.config import DType, Family, Role
from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, SlmError, ToolError

LAYER = "gpt_neox.layers.1."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_neox(tmp_path)


def test_queries_keys_and_values_are_taken_out_of_the_fused_tensor_head_by_head(folder: Path) -> None:
    model, data = pack_f32(folder)
    whole = load_file(folder / "model.safetensors")
    weight, bias = whole[f"{LAYER}attention.query_key_value.weight"], whole[f"{LAYER}attention.query_key_value.bias"]
    for part, (matrix, vector) in enumerate(((Role.WQ, Role.BQ), (Role.WK, Role.BK), (Role.WV, Role.BV))):
        for head in range(4):
            theirs = slice(head * 48 + part * 16, head * 48 + part * 16 + 16)
            ours = slice(head * 16, head * 16 + 16)
            np.testing.assert_array_equal(stored(model, data, matrix, 1)[ours], weight[theirs])
            np.testing.assert_array_equal(stored(model, data, vector, 1)[ours], bias[theirs])


@pytest.mark.parametrize(("role", "name"), [
    (Role.WO, "attention.dense.weight"), (Role.BO, "attention.dense.bias"),
    (Role.ATTN_NORM, "input_layernorm.weight"), (Role.ATTN_NORM_BIAS, "input_layernorm.bias"),
    (Role.MLP_NORM, "post_attention_layernorm.weight"), (Role.MLP_NORM_BIAS, "post_attention_layernorm.bias"),
    (Role.W_UP, "mlp.dense_h_to_4h.weight"), (Role.B_UP, "mlp.dense_h_to_4h.bias"),
    (Role.W_DOWN, "mlp.dense_4h_to_h.weight"), (Role.B_DOWN, "mlp.dense_4h_to_h.bias"),
])
def test_every_other_tensor_is_the_checkpoints(folder: Path, role: Role, name: str) -> None:
    model, data = pack_f32(folder)
    np.testing.assert_array_equal(stored(model, data, role, 1), load_file(folder / "model.safetensors")[LAYER + name])


def test_the_header_says_what_config_json_says(folder: Path) -> None:
    config = pack_f32(folder)[0].config
    assert (config.family, config.rotary_dim, config.head_dim, config.n_kv_heads) == (Family.GPT_NEOX, 4, 16, 4)
    assert (config.parallel_residual, config.gelu_tanh, config.tied_embeddings) == (True, False, False)
    assert (config.rope_theta, config.norm_epsilon) == (10000.0, float(np.float32(1e-5)))


@pytest.mark.parametrize(("change", "field", "value"), [
    ({"hidden_act": "gelu_new"}, "gelu_tanh", True), ({"hidden_act": "gelu_fast"}, "gelu_tanh", True),
    ({"hidden_act": "gelu_pytorch_tanh"}, "gelu_tanh", True), ({"hidden_act": None}, "gelu_tanh", False),
    ({"use_parallel_residual": False}, "parallel_residual", False),
    ({"use_parallel_residual": None}, "parallel_residual", True),
    ({"rotary_pct": 1.0}, "rotary_dim", 16), ({"rotary_pct": None}, "rotary_dim", 4),
    ({"rotary_pct": None, "rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 5000.0}}, "rotary_dim", 8),
    ({"rotary_emb_base": None, "rope_parameters": {"rope_theta": 5000.0}}, "rope_theta", 5000.0),
    ({"rotary_emb_base": 500}, "rope_theta", 500.0),
])
def test_a_setting_has_the_meaning_that_transformers_gives_it(
    folder: Path, change: dict[str, Any], field: str, value: object
) -> None:
    edit_config(folder, change)
    assert getattr(pack_f32(folder)[0].config, field) == value


def test_a_checkpoint_without_biases_in_attention_gets_zeros(folder: Path) -> None:
    edit_config(folder, {"attention_bias": False})
    names = [name for name in load_file(folder / "model.safetensors") if "attention" in name and ".bias" in name]
    edit_tensors(folder, dict.fromkeys(name for name in names if "layernorm" not in name))
    model, data = pack_f32(folder)
    assert not any(stored(model, data, role, 1).any() for role in (Role.BQ, Role.BK, Role.BV, Role.BO))


def test_masks_of_older_exports_are_left_out(folder: Path) -> None:
    edit_tensors(folder, {f"{LAYER}attention.bias": np.ones((1, 1, 8, 8), np.bool_),
                          f"{LAYER}attention.masked_bias": np.zeros(1, np.float32),
                          f"{LAYER}attention.rotary_emb.inv_freq": np.ones(2, np.float32)})
    pack_f32(folder)


@pytest.mark.parametrize(("change", "words"), [
    ({"hidden_act": "relu"}, 'hidden_act in config.json: found "relu", expected gelu'),
    ({"hidden_act": ["gelu"]}, "hidden_act in config.json"),
    ({"rotary_pct": 0}, "rotary_pct"), ({"rotary_pct": 1.5}, "rotary_pct"), ({"rotary_pct": "x"}, "rotary_pct"),
    ({"rotary_pct": 0.2}, "rotary_dim is 3"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "Scaled rotary positions"),
    ({"hidden_size": 65}, "head_dim in config.json"),
    ({"layer_norm_eps": None}, "layer_norm_eps in config.json: found nothing"),
    ({"attention_bias": False}, "holds gpt_neox.layers.0.attention.dense.bias"),
    ({"tie_word_embeddings": True}, "embed_out.weight differs from gpt_neox.embed_in.weight"),
])
def test_a_configuration_that_is_not_certain_is_refused(folder: Path, change: dict[str, Any], words: str) -> None:
    edit_config(folder, change)
    with pytest.raises(ToolError, match=words) as refused:
        pack_f32(folder)
    assert refused.value.code is ErrorCode.UNSUPPORTED_CHECKPOINT


@pytest.mark.parametrize("settings", [
    {}, {"use_parallel_residual": False, "hidden_act": "gelu_new"},
    {"attention_bias": False, "rope_parameters": {"rope_theta": 5000.0, "partial_rotary_factor": 0.5}},
])
def test_the_packed_model_computes_what_transformers_computes(settings: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    torch = pytest.importorskip("torch")
    make_neox(tmp_path)
    torch.manual_seed(0)
    config = transformers.GPTNeoXConfig(
        vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=64, initializer_range=0.1, bos_token_id=0, eos_token_id=1, **settings)
    theirs = transformers.GPTNeoXForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    theirs.save_pretrained(tmp_path)
    model, data = pack_f32(tmp_path)
    ids = [0, 5, 9, 200, 33, 44, 7, 8] * 4
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(all_logits(Engine.load(model, data, HOST), ids) - expected).max() < 1e-4


def test_no_damaged_config_escapes_as_another_error(folder: Path) -> None:
    """Every value of config.json, and of its rotary settings, replaced by every other kind of JSON value."""
    for name in [*CONFIG, "rope_parameters", "attention_bias"]:
        for value in ("x", -1, 1.5, [], {}, True, 10**400, {"rope_theta": "x"}, {"partial_rotary_factor": []}):
            (folder / "config.json").write_text(json.dumps(CONFIG | {name: value}))
            try:
                plan(folder, DType.Q8_0)
            except SlmError:
                continue
