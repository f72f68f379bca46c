"""GGUF files: the same weights as the checkpoint they were converted from, whatever their types."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tokenizer.hugging_face import byte_level
from tests.tools import checkpoint_folder
from tests.tools.importers import neox_folder
from tests.tools.packed import pack_f32, plan, stored
from tinypylm.config import DType, Family, Role
from tinypylm.errors import ErrorCode, SlmError, ToolError
from tinypylm_tools.importers.gguf_container import read_container

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
from tests.tools.importers import gguf_files  # noqa: E402 - it imports gguf

TOKENS = byte_level("the then there that this", vocab_size=270)
KEYS = gguf_files.byte_level_keys(TOKENS, "gpt-2")


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return checkpoint_folder.make_checkpoint(tmp_path)


@pytest.fixture
def neox(tmp_path: Path) -> Path:
    return neox_folder.make_neox(tmp_path)


def test_a_converted_llama_packs_to_the_bytes_of_the_checkpoint_itself(llama: Path) -> None:
    ours, data = pack_f32(gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS))
    theirs, expected = pack_f32(llama)
    assert ours.config == theirs.config
    assert data[ours.tensors[0].offset:] == expected[theirs.tensors[0].offset:]
    assert ours.tokenizer == theirs.tokenizer


def test_a_converted_neox_packs_to_the_bytes_of_the_checkpoint_itself(neox: Path) -> None:
    ours, data = pack_f32(gguf_files.write_neox(neox, neox_folder.CONFIG, KEYS))
    theirs, expected = pack_f32(neox)
    assert ours.config == theirs.config
    assert ours.config.family is Family.GPT_NEOX
    assert data[ours.tensors[0].offset:] == expected[theirs.tensors[0].offset:]


def test_the_metadata_carry_the_digest_of_the_file(llama: Path) -> None:
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS)
    assert pack_f32(path)[0].metadata["source_sha256"] == {
        "model_gguf": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_packed_model_computes_what_transformers_computes_from_the_gguf(llama: Path) -> None:
    """Its own importer undoes the order of queries and keys in its own way."""
    transformers = pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    torch = pytest.importorskip("torch")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with it only")
    from tests.engine.models import HOST, all_logits
    from tinypylm.engine import Engine

    path = gguf_files.write_llama(
        llama, checkpoint_folder.CONFIG, gguf_files.byte_level_keys(TOKENS, "gpt-2", size=300))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        str(llama), gguf_file=path.name, dtype=torch.float32).eval()
    model, data = pack_f32(path)
    ids = [0, 5, 9, 200, 33, 44, 7, 8] * 4
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(all_logits(Engine.load(model, data, HOST), ids) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_every_type_is_widened_to_what_gguf_reads_in_it(llama: Path, kind: str) -> None:
    quantised = gguf.GGMLQuantizationType[kind]

    def encode(_name: str, values: np.ndarray) -> tuple[np.ndarray, Any]:
        if values.ndim == 1:
            return values, None
        return gguf.quants.quantize(values, quantised), quantised

    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS, encode)
    model, data = pack_f32(path)
    weights = load_file(llama / "model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    expected = gguf.quants.dequantize(gguf.quants.quantize(weights, quantised), quantised)
    np.testing.assert_array_equal(stored(model, data, Role.W_DOWN, 1), expected)
    assert 0 < np.abs(expected - weights).max() < 0.5


def k_block(kind: str, block: bytes) -> list[float]:
    """256 weights of one block, one by one, as ggml-quants.c spells them out."""
    half = lambda at: float(np.frombuffer(block, "<f2", 1, at)[0])  # noqa: E731
    if kind == "Q6_K":
        low, high, scales, d = block[:128], block[128:192], np.frombuffer(block, "i1", 16, 192), half(208)
        out = []
        for n in range(256):
            part, j = divmod(n, 128)
            row, at = divmod(j, 32)
            nibble = low[part * 64 + at + 32 * (row % 2)] >> 4 * (row // 2) & 15
            code = (nibble | (high[part * 32 + at] >> 2 * row & 3) << 4) - 32
            out.append(d * int(scales[part * 8 + row * 2 + at // 16]) * code)
        return out
    d, dmin, packed, codes = half(0), half(2), block[4:16], block[16:]
    out = []
    for n in range(256):
        part, at = divmod(n, 32)
        if part < 4:
            scale, least = packed[part] & 63, packed[part + 4] & 63
        else:
            scale = packed[part + 4] & 15 | packed[part - 4] >> 6 << 4
            least = packed[part + 4] >> 4 | packed[part] >> 6 << 4
        code = codes[part // 2 * 32 + at] >> 4 * (part % 2) & 15
        out.append(d * scale * code - dmin * least)
    return out


@pytest.mark.parametrize(("kind", "size", "scales_at"), [("Q4_K", 144, (0, 2)), ("Q6_K", 210, (208,))])
def test_k_quants_are_read_as_ggml_defines_them(tmp_path: Path, kind: str, size: int, scales_at: tuple[int]) -> None:
    from tinypylm_tools.importers.stored_tensor import StoredTensor

    rows = np.random.default_rng(3).integers(0, 256, (4, 2, size), dtype=np.uint8)
    for at in scales_at:
        rows[..., at : at + 2] = np.frombuffer(np.float16(0.0123).tobytes(), np.uint8)
    (tmp_path / "rows").write_bytes(rows.tobytes())
    tensor = StoredTensor(tmp_path / "rows", kind, (4, 512), 0, rows.nbytes)
    expected = np.float32([k_block(kind, block.tobytes()) for block in rows.reshape(-1, size)])
    np.testing.assert_allclose(tensor.rows("x", np.arange(4)), expected.reshape(4, 512), rtol=1e-6)


def test_a_damaged_scale_is_refused_by_the_tensors_name(llama: Path) -> None:
    quantised = gguf.GGMLQuantizationType.Q8_0

    def encode(name: str, values: np.ndarray) -> tuple[np.ndarray, Any]:
        if values.ndim == 1:
            return values, None
        blocks = gguf.quants.quantize(values, quantised)
        if "layers.1.mlp.up_proj" in name:
            blocks[5, :2] = np.frombuffer(np.float16(np.nan).tobytes(), np.uint8)
        return blocks, quantised

    with pytest.raises(ToolError, match=r"w_up of layer 1 holds nan at \(5, 0\)") as refused:
        pack_f32(gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS, encode))
    assert refused.value.code is ErrorCode.NON_FINITE_WEIGHTS


def test_quantised_tensors_without_the_package_say_how_to_get_it(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    quantised = gguf.GGMLQuantizationType.Q8_0
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS, lambda _, values: (
        (values, None) if values.ndim == 1 else (gguf.quants.quantize(values, quantised), quantised)))
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ToolError, match="pip install gguf") as refused:
        pack_f32(path)
    assert refused.value.code is ErrorCode.PACKAGE_MISSING


@pytest.mark.parametrize(("change", "words"), [
    ({"hidden_size": 96}, "token_embd.weight has shape"), ({"num_hidden_layers": 1}, "holds blk.1.attn_k"),
    ({"num_hidden_layers": 3}, "lacks blk.2."), ({"intermediate_size": 64}, "ffn_gate.weight has shape"),
    ({"rms_norm_eps": 0.0}, "norm_epsilon is 0.0"), ({"rope_theta": float("nan")}, "rope_theta is nan"),
])
def test_keys_that_do_not_fit_the_tensors_are_refused(llama: Path, change: dict[str, Any], words: str) -> None:
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG | change, KEYS)
    with pytest.raises(SlmError, match=words):
        pack_f32(path)


@pytest.mark.parametrize(("change", "words"), [
    ({"model": "bert"}, "tokenizer's model in model.gguf is bert"),
    ({"pre": "llama-bpe"}, "tokenizer's pre .* llama-bpe"),
    ({"pre": "default"}, "tokenizer's pre"), ({"tokens": ["a", "ab"], "token_type": [1, 1]}, "Merge 0 in model.gguf"),
    ({"tokens": ["a", "a"], "token_type": [1, 1]}, "'a' twice"), ({"token_type": [4] * 269}, "token_type .* is 4 for"),
    ({"token_type": [9] * 269}, "numbers from 1 to 6"), ({"merges": ["abc"]}, "two tokens with a space"),
    ({"merges": ["t zzz"]}, "joins 't' and 'zzz'"), ({"bos_token_id": 300}, "bos_token_id"),
])
def test_a_tokenizer_that_the_format_lacks_is_refused(llama: Path, change: dict[str, Any], words: str) -> None:
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS | change)
    with pytest.raises(ToolError, match=words):
        pack_f32(path)


@pytest.mark.parametrize(("keys", "bos"), [
    ({"add_bos_token": True}, 0), ({"add_bos_token": False}, None), ({}, None)])
def test_bos_stands_in_front_where_llama_cpp_puts_it(llama: Path, keys: dict[str, Any], bos: int | None) -> None:
    known = {name: value for name, value in KEYS.items() if name != "add_bos_token"}
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, known | keys)
    assert pack_f32(path)[0].config.bos_id == bos


def test_no_flipped_byte_escapes_as_another_error(llama: Path) -> None:
    """Of keys, tokenizer and list of tensors; what still reads as a model is packed or refused like any other."""
    path = gguf_files.write_llama(llama, checkpoint_folder.CONFIG, KEYS)
    whole = path.read_bytes()
    head = min(tensor.start for tensor in read_container(path).tensors.values())
    for at in range(0, head, 23):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            plan(path, DType.Q8_0).source.open_weights()
        except SlmError:
            continue
