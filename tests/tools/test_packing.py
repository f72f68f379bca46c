"""From a Hugging Face folder to a sealed file, and every folder that cannot be packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tokenizer.hugging_face import edit as edit_tokenizer
from tests.tools.checkpoint_folder import edit_config, edit_tensors, make_checkpoint
from tests.tools.packed import pack, plan, stored
from tinypylm.config import DType, Role
from tinypylm.errors import BudgetError, ErrorCode, FormatError, SlmError, ToolError
from tinypylm.format import Model, TokenKind
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools import packing
from tinypylm_tools.quantise import encode

Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path)


def packed(folder: Path, dtype: DType = DType.F32, context_length: int | None = None) -> tuple[Model, bytes]:
    return pack(folder, dtype, context_length=context_length)


def test_an_f32_file_holds_the_checkpoint_bit_for_bit(folder: Path) -> None:
    model, data = packed(folder)
    weights = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(stored(model, data, Role.WQ, 1), weights[Q_PROJ])
    np.testing.assert_array_equal(stored(model, data, Role.TOK_EMBEDDINGS, None), weights["model.embed_tokens.weight"])
    np.testing.assert_array_equal(stored(model, data, Role.MLP_NORM, 0),
                                  weights["model.layers.0.post_attention_layernorm.weight"])


@pytest.mark.parametrize("dtype", [DType.Q8_0, DType.Q4_0])
def test_a_quantised_file_has_quantised_matrices_and_f32_norms(folder: Path, dtype: DType) -> None:
    model, data = packed(folder, dtype)
    assert {tensor.dtype for tensor in model.tensors if len(tensor.shape) == 2} == {dtype}
    assert model.tensor(Role.FINAL_NORM).dtype is DType.F32
    tensor = model.tensor(Role.WQ, 1)
    weights = load_file(folder / "model.safetensors")[Q_PROJ]
    assert data[tensor.offset : tensor.offset + tensor.payload_bytes] == encode(weights, dtype, "wq")


def test_a_matrix_with_other_rows_than_multiples_of_32_stays_f32(folder: Path) -> None:
    edit_config(folder, {"intermediate_size": 80})
    rng = np.random.default_rng(1)
    edit_tensors(folder, {
        f"model.layers.{layer}.mlp.{name}_proj.weight": rng.standard_normal(shape).astype(np.float32)
        for layer in range(2) for name, shape in (("gate", (80, 64)), ("up", (80, 64)), ("down", (64, 80)))})
    model, _ = packed(folder, DType.Q8_0)
    assert model.tensor(Role.W_DOWN, 0).dtype is DType.F32
    assert model.tensor(Role.W_UP, 0).dtype is DType.Q8_0


def test_half_precision_checkpoints_are_widened_exactly(folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")[Q_PROJ]
    edit_tensors(folder, {Q_PROJ: whole.astype(np.float16)})
    model, data = packed(folder)
    np.testing.assert_array_equal(stored(model, data, Role.WQ, 1), whole.astype(np.float16).astype(np.float32))


def test_bfloat16_checkpoints_are_widened_exactly(folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")[Q_PROJ]
    store_as_bfloat16(folder / "model.safetensors")
    model, data = packed(folder)
    expected = (whole.view(np.uint32) & 0xFFFF0000).view(np.float32)
    np.testing.assert_array_equal(stored(model, data, Role.WQ, 1), expected)


def store_as_bfloat16(path: Path) -> None:
    """Rewrites every tensor by cutting its floats to their upper halves; NumPy has no such type."""
    header, data = {}, b""
    for name, value in load_file(path).items():
        half = value.view(np.uint16).reshape(-1)[1::2].tobytes()
        header[name] = {
            "dtype": "BF16", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(half)]}
        data += half
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_the_header_says_what_config_json_says(folder: Path) -> None:
    config = packed(folder)[0].config
    assert (config.hidden_size, config.n_heads, config.n_kv_heads, config.head_dim) == (64, 4, 2, 16)
    assert (config.bos_id, config.eos_id, config.tied_embeddings, config.interleaved_rotary) == (0, 1, True, False)
    assert config.norm_epsilon == float(np.float32(1e-5))


def test_metadata_carry_the_digests_of_the_checkpoint(folder: Path) -> None:
    import hashlib

    digests = packed(folder)[0].metadata["source_sha256"]
    assert isinstance(digests, dict)
    assert digests["config_json"] == hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    assert digests.keys() == {"config_json", "model_safetensors", "tokenizer_json"}


def test_ids_without_a_token_are_special(folder: Path) -> None:
    vocabulary = packed(folder)[0].tokenizer
    assert vocabulary.kinds[299] == TokenKind.SPECIAL
    assert (vocabulary.kinds[0], vocabulary.tokens[0]) == (TokenKind.SPECIAL, b"<|bos|>")


def test_a_packed_tokenizer_encodes_with_bos(folder: Path) -> None:
    tokenizer = Tokenizer.of(packed(folder)[0])
    assert tokenizer.encode("the")[0] == 0
    assert tokenizer.decode(tokenizer.encode("then there")) == b"then there"


def test_packing_twice_gives_the_same_bytes(folder: Path) -> None:
    assert packed(folder)[1] == packed(folder)[1]


def test_a_shorter_context_may_be_asked_for(folder: Path) -> None:
    assert packed(folder, context_length=32)[0].config.context_length == 32


def test_a_copy_of_tied_embeddings_is_dropped(folder: Path) -> None:
    edit_tensors(folder, {"lm_head.weight": load_file(folder / "model.safetensors")["model.embed_tokens.weight"]})
    with pytest.raises(KeyError):
        packed(folder)[0].tensor(Role.OUTPUT)


def test_an_untied_head_is_stored(folder: Path) -> None:
    edit_config(folder, {"tie_word_embeddings": False})
    edit_tensors(folder, {"lm_head.weight": np.ones((300, 64), np.float32)})
    model, data = packed(folder)
    assert (stored(model, data, Role.OUTPUT, None) == 1).all()


@pytest.mark.parametrize("change", [
    {"rope_theta": None, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}},
    {"rope_theta": None}, {"num_key_value_heads": 2, "head_dim": 16}, {"eos_token_id": [1]},
    {"rope_scaling": {"type": "default"}}, {"mlp_bias": None, "attention_bias": None},
])
def test_other_spellings_of_the_same_configuration_are_read(folder: Path, change: dict[str, Any]) -> None:
    plain = packed(folder)[0].config
    edit_config(folder, change)
    assert packed(folder)[0].config == plain


@pytest.mark.parametrize(("change", "words"), [
    ({"model_type": "gpt2"}, 'model_type in config.json: found "gpt2", expected "llama"'),
    ({"model_type": None}, "model_type in config.json: found nothing"),
    ({"attention_bias": True}, "attention_bias in config.json: found true, expected false"),
    ({"mlp_bias": True}, "mlp_bias in config.json"),
    ({"hidden_act": "gelu"}, "hidden_act in config.json"),
    ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "Scaled rotary positions cannot be packed"),
    ({"rope_parameters": {"rope_type": "yarn"}}, "Scaled rotary positions"),
    ({"hidden_size": "64"}, 'hidden_size in config.json: found "64", expected an integer'),
    ({"hidden_size": True}, "expected an integer"),
    ({"head_dim": 32}, "head_dim in config.json: found 32, expected hidden_size / num_attention_heads = 64 / 4"),
    ({"rms_norm_eps": None}, "rms_norm_eps in config.json: found nothing, expected a number"),
    ({"eos_token_id": [1, 2]}, "eos_token_id in config.json"),
    ({"tie_word_embeddings": "yes"}, "expected true or false"),
    ({"tie_word_embeddings": False}, "lacks lm_head.weight. .* Set tie_word_embeddings to true"),
    ({"num_hidden_layers": 1}, r"holds model.layers.1.* \(and 8 more\)"),
    ({"num_hidden_layers": 3}, "lacks model.layers.2.input_layernorm.weight"),
])
def test_a_configuration_that_is_not_certain_is_refused(folder: Path, change: dict[str, Any], words: str) -> None:
    edit_config(folder, change)
    with pytest.raises(ToolError, match=words) as refused:
        packed(folder)
    assert refused.value.code is ErrorCode.UNSUPPORTED_CHECKPOINT


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named_with_what_is_there(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ToolError, match=rf"{name} is missing; the folder holds ") as refused:
        packed(folder)
    assert refused.value.code is ErrorCode.MISSING_FILE


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="there is no such folder"):
        packed(tmp_path / "nowhere")


def test_a_pickle_is_refused_with_the_way_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ToolError, match=r"pytorch_model\.bin means a pickle.*save_pretrained"):
        packed(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("text", [b"{", b"\xff", b"[1]", b"[" * 100_000])
def test_a_damaged_json_file_is_named(folder: Path, name: str, text: bytes) -> None:
    (folder / name).write_bytes(text)
    with pytest.raises(ToolError, match=name):
        packed(folder)


@pytest.mark.parametrize("keep", [0, 7, 100, 50_000])
def test_a_cut_off_safetensors_file_is_named(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ToolError, match=r"model\.safetensors is not a sound safetensors file"):
        packed(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_named(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")[Q_PROJ]
    weights[3, 4] = value
    edit_tensors(folder, {Q_PROJ: weights})
    with pytest.raises(ToolError, match=r"wq of layer 1 holds (nan|inf) at \(3, 4\)") as refused:
        packed(folder)
    assert refused.value.code is ErrorCode.NON_FINITE_WEIGHTS


@pytest.mark.parametrize(("tensor", "value", "code", "words"), [
    (Q_PROJ, None, ErrorCode.UNSUPPORTED_CHECKPOINT, f"lacks {Q_PROJ}"),
    (Q_PROJ, np.zeros((64, 32), np.float32), ErrorCode.SHAPE_MISMATCH, r"has shape \(64, 32\), expected \(64, 64\)"),
    (Q_PROJ, np.zeros((64, 64), np.float64), ErrorCode.UNSUPPORTED_CHECKPOINT, "is stored as F64"),
    ("lm_head.weight", np.zeros((300, 64), np.float32), ErrorCode.UNSUPPORTED_CHECKPOINT, "differs"),
    ("model.layers.0.self_attn.q_proj.bias", np.zeros(64, np.float32), ErrorCode.UNSUPPORTED_CHECKPOINT,
     "holds model.layers.0.self_attn.q_proj.bias"),
])
def test_a_tensor_that_does_not_belong_is_refused_by_name(
    folder: Path, tensor: str, value: Any, code: ErrorCode, words: str
) -> None:
    edit_tensors(folder, {tensor: value})
    with pytest.raises(ToolError, match=words) as refused:
        packed(folder)
    assert refused.value.code is code


def test_rotary_frequencies_of_older_exports_are_left_out(folder: Path) -> None:
    edit_tensors(folder, {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)})
    packed(folder)


@pytest.mark.parametrize(("change", "part", "words"), [
    ({"normalizer": {"type": "NFC"}}, None, "tokenizer's normalizer"),
    ({"type": "WordPiece"}, "model", "tokenizer's type"),
    ({"dropout": 0.1}, "model", "tokenizer's dropout"),
    ({"ignore_merges": True}, "model", "tokenizer's ignore_merges"),
    ({"end_of_word_suffix": "</w>"}, "model", "tokenizer's end_of_word_suffix"),
    ({"pre_tokenizer": None}, None, "tokenizer's byte_fallback"),
    ({"pre_tokenizer": {"type": "Whitespace"}}, None, "tokenizer's type"),
    ({"add_prefix_space": True}, "pre_tokenizer", "tokenizer's add_prefix_space"),
    ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False,
         "use_regex": False}]}}, None, "tokenizer's use_regex"),
    ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel"}]}}, None,
     'found \\["Split", "ByteLevel"\\]'),
    ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": False}, {"type": "ByteLevel", "add_prefix_space": False}]}}, None,
     "tokenizer's individual_digits"),
    ({"byte_fallback": True}, "model", "tokenizer's pre_tokenizer"),
    ({"pre_tokenizer": None, "model": {"type": "BPE", "byte_fallback": True}}, None, "tokenizer's normalizer"),
    ({"added_tokens": 3}, None, "added_tokens in tokenizer.json: found 3, expected an array"),
    ({"added_tokens": [{"id": 5, "content": 3, "special": True}]}, None, "content in .*found 3, expected a string"),
    ({"added_tokens": [{"id": 5, "content": "<x>", "special": False}]}, None, "<x>.*which is not special"),
    ({"added_tokens": [{"id": 300, "content": "<x>", "special": True}]}, None, "id 300"),
    ({"vocab": {"a": 300}}, "model", "ids below vocab_size = 300"),
    ({"vocab": {"a": "b"}}, "model", "ids below vocab_size"),
    ({"vocab": {"あ": 4}}, "model", "is not spelled in the byte-level alphabet"),
    ({"vocab": {"a": 4}}, "model", "Merge 0 in tokenizer.json joins"),
    ({"merges": [["t", "zzz"]]}, "model", "Merge 0 in tokenizer.json joins 't' and 'zzz'"),
    ({"merges": ["t h e"]}, "model", "expected two tokens"),
    ({"merges": [3]}, "model", "expected two tokens"),
    ({"model": None}, None, "model in tokenizer.json: found null, expected an object"),
])
def test_a_tokenizer_feature_that_the_format_lacks_is_named(
    folder: Path, change: dict[str, Any], part: str | None, words: str
) -> None:
    edit_tokenizer(folder, change, part)
    with pytest.raises(ToolError, match=words) as refused:
        packed(folder)
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER


def test_a_sequence_of_one_byte_level_step_is_that_step(folder: Path) -> None:
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = packed(folder)[0].tokenizer
    edit_tokenizer(folder, {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [step]}})
    assert packed(folder)[0].tokenizer == plain


def test_merges_may_be_written_as_in_older_files(folder: Path) -> None:
    plain = packed(folder)[0].tokenizer
    merges = json.loads((folder / "tokenizer.json").read_text())["model"]["merges"]
    edit_tokenizer(folder, {"merges": [" ".join(pair) for pair in merges]}, "model")
    assert packed(folder)[0].tokenizer == plain


@pytest.mark.parametrize("length", [0, -1, 129])
def test_a_context_beyond_the_training_is_refused(folder: Path, length: int) -> None:
    with pytest.raises(ToolError, match="Ask for 1 to 128"):
        plan(folder, DType.F32, context_length=length)


@pytest.mark.parametrize(("change", "words"), [
    ({"num_key_value_heads": 3}, "n_kv_heads is 3, expected a divisor of n_heads = 4"),
    ({"bos_token_id": 300}, "bos_token_id in config.json: found 300, expected one token id below"),
    ({"eos_token_id": -1}, "eos_token_id in config.json: found -1"),
    ({"rope_theta": 1e300}, "rope_theta is inf"), ({"rms_norm_eps": 0}, "norm_epsilon is 0.0"),
])
def test_a_header_that_no_parser_would_accept_is_refused_while_planning(
    folder: Path, change: dict[str, Any], words: str
) -> None:
    edit_config(folder, change)
    with pytest.raises(SlmError, match=words):
        plan(folder, DType.F32)


@pytest.mark.parametrize(("text", "words"), [
    ('{"nam": "x"}', "nam in meta.json: found .*, expected no key but name, description"),
    ('{"name": 3}', "name in meta.json: found 3, expected a string"),
    ('{"training": {"loss": 1.5}}', "training in meta.json"),
])
def test_metadata_of_another_kind_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(ToolError, match=words) as refused:
        packing.read_metadata(tmp_path / "meta.json")
    assert refused.value.code is ErrorCode.UNUSABLE_METADATA


def test_no_damaged_config_escapes_as_another_error(folder: Path) -> None:
    """Every value of config.json replaced by every other kind of JSON value."""
    whole = json.loads((folder / "config.json").read_text())
    for name in whole:
        for value in ("x", -1, 1.5, [], {}, True, 10**30):
            (folder / "config.json").write_text(json.dumps(whole | {name: value}))
            try:
                plan(folder, DType.Q8_0)
            except (ToolError, BudgetError, FormatError):
                continue
