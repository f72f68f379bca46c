"""What an export leaves on disk, where it refuses, and that others' readers see ggml's bytes in it."""

from __future__ import annotations

import json
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.little_room import little_room
from tests.tools.exporters.models import LLAMA, NEOX, QUANTISED, bytes_only, sealed, vocabularies
from tests.tools.packed import stored
from tinypylm.config import DType, Role
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary
from tinypylm_tools.cli import main
from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.exporters.spelling import spelled_tokens


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_writes_a_folder(tmp_path: Path) -> None:
    sealed(tmp_path / "x.slm", LLAMA)
    assert run("export", tmp_path / "x.slm", "--to", "hf", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "llama"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.slm"]


def test_the_command_writes_a_gguf_file(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    sealed(tmp_path / "x.slm", LLAMA)
    code, out, _ = run("export", tmp_path / "x.slm", "--to", "gguf", tmp_path / "x.gguf")
    assert (code, out) == (0, f"{tmp_path / 'x.gguf'}: {(tmp_path / 'x.gguf').stat().st_size:,} bytes\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.gguf", "x.slm"]


def test_an_unknown_target_is_a_usage_error(tmp_path: Path) -> None:
    sealed(tmp_path / "x.slm", LLAMA)
    assert run("export", tmp_path / "x.slm", "--to", "onnx", tmp_path / "x")[0] == 2
    assert run("export", tmp_path / "x.slm")[0] == 2


@pytest.mark.parametrize("dtype", QUANTISED)
@pytest.mark.parametrize("config", [LLAMA, NEOX], ids=["llama", "neox"])
def test_the_package_gguf_reads_the_same_weights(tmp_path: Path, config, dtype: DType) -> None:
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = sealed(tmp_path / "x.slm", replace(config, quantization=dtype), *bytes_only())
    export_gguf(file, tmp_path / "x.gguf")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    names = {Role.TOK_EMBEDDINGS: "token_embd.weight", Role.W_DOWN: "blk.1.ffn_down.weight"}
    for role, name in names.items():
        theirs = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        layer = None if role is Role.TOK_EMBEDDINGS else 1
        np.testing.assert_array_equal(theirs, stored(file.model, file.data, role, layer))
        assert tensors[name].tensor_type.name == dtype.name
    assert tensors["output_norm.weight"].tensor_type.name == "F32"


@pytest.mark.parametrize("name", ["file", "full"])
def test_a_folder_that_is_taken_is_left_alone(tmp_path: Path, name: str) -> None:
    file = sealed(tmp_path / "x.slm", LLAMA)
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(ToolError, match="is there and not empty") as refused:
        export_folder(file, tmp_path / name)
    assert refused.value.code is ErrorCode.UNWRITABLE_FILE
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


@pytest.mark.parametrize("export", [export_folder, export_gguf])
def test_a_place_that_is_not_there_is_refused(tmp_path: Path, export) -> None:
    if export is export_gguf:
        pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = sealed(tmp_path / "x.slm", LLAMA)
    with pytest.raises(ToolError, match="that exists") as refused:
        export(file, tmp_path / "no" / "x")
    assert refused.value.code is ErrorCode.UNWRITABLE_FILE


@pytest.mark.parametrize(("form", "most_bytes"), [("hf", 100), ("hf", 20_000), ("gguf", 100), ("gguf", 20_000)])
def test_a_full_disk_is_an_error_of_the_command_and_leaves_nothing(tmp_path: Path, form: str, most_bytes: int) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    sealed(tmp_path / "x.slm", LLAMA)
    with little_room(most_bytes):
        code, _, words = run("export", tmp_path / "x.slm", "--to", form, tmp_path / "out")
    assert code == 1
    assert words.startswith(f"error: {tmp_path / 'out'} cannot be written (")
    assert "[UnwritableFile]" in words
    assert [path.name for path in tmp_path.iterdir()] == ["x.slm"]


def test_a_gguf_file_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    file = sealed(tmp_path / "x.slm", LLAMA)
    (tmp_path / "out").mkdir()
    with pytest.raises(ToolError, match="cannot be written") as refused:
        export_gguf(file, tmp_path / "out")
    assert refused.value.code is ErrorCode.UNWRITABLE_FILE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x.slm"]


def test_gguf_without_the_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    file = sealed(tmp_path / "x.slm", LLAMA)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ToolError, match="Writing a GGUF file needs the package gguf") as refused:
        export_gguf(file, tmp_path / "x.gguf")
    assert refused.value.code is ErrorCode.PACKAGE_MISSING


def vocabulary(kind: PreTokenizer, *more: tuple[bytes, TokenKind]) -> Vocabulary:
    tokens = [(bytes([value]), TokenKind.BYTE) for value in range(256)] + list(more)
    return Vocabulary(kind, tuple(text for text, _ in tokens), bytes(kind for _, kind in tokens), array("I"))


@pytest.mark.parametrize(("kind", "more", "words"), [
    (PreTokenizer.GPT2, [(b"x", TokenKind.SPECIAL)], "2 tokens would be spelled 'x'"),
    (PreTokenizer.GPT2, [(b"<s>", TokenKind.SPECIAL)] * 2, "2 tokens would be spelled '<s>'"),
    (PreTokenizer.GPT2, [(b"\xff", TokenKind.SPECIAL)], r"b'\\xff' is not UTF-8"),
    (PreTokenizer.SPACE_PREFIX, [(b"a\xff", TokenKind.NORMAL)], "is not UTF-8"),
    (PreTokenizer.SPACE_PREFIX, [("a\u2581".encode(), TokenKind.NORMAL)], "is spelled as something else there"),
    (PreTokenizer.SPACE_PREFIX, [(b"<0x41>", TokenKind.NORMAL)], "is spelled as something else there"),
])
def test_a_token_that_others_cannot_spell_is_named(
    kind: PreTokenizer, more: list[tuple[bytes, TokenKind]], words: str
) -> None:
    with pytest.raises(ToolError, match=words) as refused:
        spelled_tokens(vocabulary(kind, *more))
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER


def test_merges_that_scores_cannot_say_are_refused_for_gguf(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    known, special = vocabularies(tmp_path)["scores"]
    file = sealed(tmp_path / "x.slm", LLAMA, replace(known, merges=known.merges[3:]), special)
    with pytest.raises(ToolError, match="its merges are ranked one by one, which scores of tokens cannot say"):
        export_gguf(file, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
