"""Tokenizers inside GGUF files: the ids of the package `tokenizers`, and of llama.cpp's merging by score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tokenizer.hugging_face import SINGLE_DIGITS, byte_level, sentence_piece
from tests.tools.importers import llama2c_files
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.gguf_container import read_container
from tinypylm_tools.importers.gguf_tokenizer import bos_id, read_vocabulary

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
from tests.tools.importers.gguf_files import byte_level_keys, put_keys  # noqa: E402 - it imports gguf

TEXT = Path(__file__).parents[2].joinpath("data", "languages.txt").read_text(encoding="utf-8")
LINES = [*TEXT.split("\n"), TEXT, "", " ", "  two", "ends in spaces   "]


def tokenizer_of(folder: Path, keys: dict[str, Any]) -> Tokenizer:
    """Through a file, with no model beside it."""
    writer = gguf.GGUFWriter(folder / "tokenizer.gguf", "llama")
    put_keys(writer, keys)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    fields = read_container(folder / "tokenizer.gguf").fields
    return Tokenizer(read_vocabulary(fields, len(keys["tokens"])), bos_id(fields, len(keys["tokens"])))


@pytest.mark.parametrize(("pre", "cut"), [("gpt-2", None), ("olmo", None), ("smollm", SINGLE_DIGITS)])
def test_byte_level_ids_are_those_of_tokenizers(tmp_path: Path, pre: str, cut: Any) -> None:
    oracle = byte_level(TEXT) if cut is None else byte_level(TEXT, cut)
    ours = tokenizer_of(tmp_path, byte_level_keys(oracle, pre))
    for line in LINES:
        assert ours.encode(line, bos=False) == oracle.encode(line, add_special_tokens=False).ids, line


def sentence_piece_keys() -> dict[str, Any]:
    """Pieces as SentencePiece lists them: each learned one scores less than the one before it."""
    vocabulary = sorted(sentence_piece(TEXT).get_vocab().items(), key=lambda item: item[1])
    return {
        "model": "llama", "tokens": [piece for piece, _ in vocabulary],
        "scores": [0.0 if token < 259 else -float(token - 259) for _, token in vocabulary],
        "token_type": [2, 3, 3, *[6] * 256, *[1] * (len(vocabulary) - 259)], "bos_token_id": 1, "eos_token_id": 2}


def test_sentence_piece_ids_are_those_of_merging_by_score(tmp_path: Path) -> None:
    keys = sentence_piece_keys()
    ours = tokenizer_of(tmp_path, keys)
    assert ours.vocabulary.pre_tokenizer is PreTokenizer.SPACE_PREFIX
    by_score = list(zip((text.replace("\u2581", " ") for text in keys["tokens"]), keys["scores"], strict=True))
    for line in LINES:
        if len(line) < 500:
            assert ours.encode(line) == [1, *llama2c_files.encode(line, by_score)], line
        assert ours.decode(ours.encode(line)) == line.encode()


@pytest.mark.parametrize(("change", "words"), [
    ({"add_space_prefix": False}, "add_space_prefix"), ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
    ({"precompiled_charsmap": [1, 2]}, "precompiled_charsmap"), ({"scores": [0.0]}, "scores"),
    ({"model": "t5"}, "tokenizer's model"),
])
def test_a_feature_that_the_format_lacks_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolError, match=words) as refused:
        tokenizer_of(tmp_path, sentence_piece_keys() | change)
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER
