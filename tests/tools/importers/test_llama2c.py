"""llama2.c's files: every tensor from its place, whichever version, and its tokenizer by scores."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.engine.models import HOST
from tests.tokenizer.hugging_face import sentence_piece
from tests.tools.importers import llama2c_files as files
from tests.tools.packed import pack_f32, plan, stored
from tinypylm.config import DType, Role
from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, SlmError, ToolError
from tinypylm.format import TokenKind
from tinypylm.tokenizer import Tokenizer

TEXT = Path(__file__).parents[2].joinpath("data", "languages.txt").read_text(encoding="utf-8")
# Pieces in the order of their ids, as SentencePiece scores them.
ORDER = sorted(sentence_piece(TEXT).get_vocab().items(), key=lambda item: item[1])
TOKENS = files.scored([piece.replace("\u2581", " ") for piece, token in ORDER if token >= 259])
ROLES = {
    Role.ATTN_NORM: "attention_norm", Role.WQ: "wq", Role.WK: "wk", Role.WV: "wv", Role.WO: "wo",
    Role.MLP_NORM: "ffn_norm", Role.W_GATE: "w1", Role.W_DOWN: "w2", Role.W_UP: "w3",
    Role.FINAL_NORM: "norm", Role.TOK_EMBEDDINGS: "tok_embeddings", Role.OUTPUT: "output",
}


@pytest.fixture(scope="module")
def weights() -> files.Weights:
    return files.random_weights(len(TOKENS))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("version", [files.version_0, files.version_1])
def test_f32_weights_are_those_of_the_file(tmp_path: Path, weights: files.Weights, version, shared: bool) -> None:
    model, data = pack_f32(files.write(tmp_path, version(weights, shared), TOKENS))
    assert (model.config.tied_embeddings, model.config.interleaved_rotary) == (shared, True)
    for tensor in model.tensors:
        expected = weights[ROLES[tensor.role]][tensor.layer or 0]
        np.testing.assert_array_equal(stored(model, data, tensor.role, tensor.layer), expected)


@pytest.mark.parametrize("group_size", [16, 32, 64])
def test_quantised_weights_are_code_times_scale_of_their_group(
    tmp_path: Path, weights: files.Weights, group_size: int
) -> None:
    """Groups of 32 and 64 run on over the ends of rows of 48 and 32."""
    even = weights | {name: [weights[name][0][:512]] for name in ("tok_embeddings", "output")}
    model, data = pack_f32(files.write(tmp_path, files.version_2(even, False, group_size), TOKENS[:512]))
    for tensor in model.tensors:
        expected = even[ROLES[tensor.role]][tensor.layer or 0]
        if len(tensor.shape) == 2:
            codes, scales = files.quantised(expected, group_size)
            expected = (codes * scales[:, None]).reshape(expected.shape)
        np.testing.assert_array_equal(stored(model, data, tensor.role, tensor.layer), expected)


def test_ids_are_those_of_run_c_on_every_line_of_a_multilingual_text(tmp_path: Path, weights: files.Weights) -> None:
    tokenizer = Tokenizer.of(pack_f32(files.write(tmp_path, files.version_0(weights, True), TOKENS))[0])
    for line in [*TEXT.split("\n"), "", " ", "  two", "\u2028", "ends in spaces   ", "aaaa aaa aa"]:
        assert tokenizer.encode(line) == [1, *files.encode(line, TOKENS)], line
        assert tokenizer.decode(tokenizer.encode(line)) == line.encode()


def test_begin_and_end_are_special_and_bytes_are_bytes(tmp_path: Path, weights: files.Weights) -> None:
    model, _ = pack_f32(files.write(tmp_path, files.version_0(weights, True), TOKENS))
    assert (model.config.bos_id, model.config.eos_id) == (1, 2)
    assert bytes(model.tokenizer.kinds[:4]) == bytes([TokenKind.SPECIAL] * 3 + [TokenKind.BYTE])
    assert model.tokenizer.tokens[:5] == (b"<unk>", b"<s>", b"</s>", b"\x00", b"\x01")


def test_a_tokenizer_may_lie_elsewhere(tmp_path: Path, weights: files.Weights) -> None:
    path = files.write(tmp_path, files.version_0(weights, True), TOKENS)
    with_own = pack_f32(path)[0].tokenizer
    path.with_name("tokenizer.bin").rename(tmp_path / "tok.bin")
    with pytest.raises(ToolError, match=r"tokenizer\.bin is missing"):
        pack_f32(path)
    assert pack_f32(path, tmp_path / "tok.bin")[0].tokenizer == with_own


def header(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "its header holds"), (header(32, 48, 2, 5, 2, 600, 24), "dim a multiple of n_heads"),
    (header(32, 48, 0, 4, 2, 600, 24), "its header holds"), (header(32, 48, 2, 4, -2, 600, 24), "its header holds"),
    (header(32, 48, 2, 4, 2, 600, 24) + bytes(99), "it has 127 bytes; its header, 2 layers of 32, implies 1"),
    (header(32, 48, 1 << 30, 4, 2, 600, 24), "its header, 1073741824 layers of 32, implies"),
    (header(32, 48, 2, 4, 2, 1 << 30, 24), "vocab_size in model.bin is 1073741824"),
    (header(0x616B3432, 3, 32, 48, 2, 4, 2, 600, 24), "its version is 3"),
    (header(0x616B3432, 2, 32, 48, 2, 4, 2, 600, 24, 0, 0), "its version is 2 and its group size 0"),
])
def test_a_file_that_is_none_of_llama2c_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(ToolError, match=words) as refused:
        pack_f32(tmp_path / "model.bin")
    assert refused.value.code is ErrorCode.UNSUPPORTED_CHECKPOINT


@pytest.mark.parametrize(("tokens", "words"), [
    (TOKENS[:-1], "it ends before token"), ([*TOKENS, ("x y", -1.0)], "bytes more than the"),
    (TOKENS[:3] + TOKENS[4:] + [("<0x00>", 0.0)], "tokens 3 to 258 are not"),
    ([*TOKENS[:-1], TOKENS[300]], "two tokens have the same text"),
    ([*TOKENS[:-1], ("a\ue000", -9e9)], "which is no token"),
    ([*TOKENS[:-2], ("ez", -5.5), ("zt", -5.5)], "b'ez' and b'zt' have the same score and share the part b'z'"),
    ([*TOKENS[:-1], ("x", float("nan"))], "score nan"),
])
def test_a_tokenizer_that_ranks_cannot_say_is_refused(
    tmp_path: Path, weights: files.Weights, tokens: list[tuple[str, float]], words: str
) -> None:
    with pytest.raises(ToolError, match=words) as refused:
        pack_f32(files.write(tmp_path, files.version_0(weights, True), tokens))
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER


@pytest.mark.parametrize("length", [0, 3, 11, 5000])
def test_a_tokenizer_cut_off_is_refused(tmp_path: Path, weights: files.Weights, length: int) -> None:
    path = files.write(tmp_path, files.version_0(weights, True), TOKENS)
    whole = path.with_name("tokenizer.bin").read_bytes()
    path.with_name("tokenizer.bin").write_bytes(whole[:length])
    with pytest.raises(ToolError, match=r"tokenizer\.bin does not fit the model"):
        pack_f32(path)


def test_no_flipped_byte_escapes_as_another_error(tmp_path: Path, weights: files.Weights) -> None:
    """Of the header and of the whole tokenizer."""
    path = files.write(tmp_path, files.version_2(
        weights | {name: [weights[name][0][:512]] for name in ("tok_embeddings", "output")}, False, 32), TOKENS[:512])
    for damaged, end in ((path, 60), (path.with_name("tokenizer.bin"), None)):
        whole = damaged.read_bytes()
        for at in range(0, len(whole) if end is None else end, 1 if end else 11):
            damaged.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
            try:
                plan(path, DType.Q8_0).source.open_weights()
            except SlmError:
                continue
        damaged.write_bytes(whole)


def test_a_trained_model_continues_with_the_ids_of_run_c(repo_root: Path) -> None:
    folder = repo_root.parent / "shared" / "data" / "stories260K"
    if not folder.is_dir():
        pytest.skip("stories260K is not beside this tree")
    expected = json.loads((folder / "greedy.json").read_text())
    model, data = pack_f32(folder / "stories260K.bin", folder / "tok512.bin")
    engine = Engine.load(model, data, HOST)
    ids = list(expected["prompt_ids"])
    engine.prefill(ids, 0)
    while len(ids) < 201:
        ids.append(engine.candidates(1, 1.0, 1.0).ids[0])
        engine.step(ids[-1], len(ids) - 1)
    assert ids[1:] == expected["greedy_ids"]
    assert Tokenizer.of(model).decode(ids[1:]).decode() == expected["text"]
