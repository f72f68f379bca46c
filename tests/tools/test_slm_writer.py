"""Sealing refuses what the parser would, and a file is on disk whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tinypylm.config import DType, Role
from tinypylm.errors import ErrorCode, FormatError, ToolError
from tinypylm.format import FormatCode, PreTokenizer
from tinypylm_tools.fixtures import BYTE_CONFIG, payloads, three_merges
from tinypylm_tools.slm_writer import Payload, seal, write_atomically


def test_an_invalid_model_is_not_sealed() -> None:
    with pytest.raises(FormatError) as refused:
        seal(BYTE_CONFIG, payloads(BYTE_CONFIG), three_merges(), {})
    assert refused.value.code is FormatCode.TOKEN_COUNT_MISMATCH


def test_unknown_metadata_are_not_sealed() -> None:
    with pytest.raises(FormatError) as refused:
        seal(BYTE_CONFIG, payloads(BYTE_CONFIG), None, {"author": "x"})
    assert refused.value.code is FormatCode.UNKNOWN_METADATA_KEY


def test_a_payload_of_another_size_is_named() -> None:
    wrong = payloads(BYTE_CONFIG) | {(Role.WK, 1): Payload(DType.F32, b"1234")}
    with pytest.raises(ToolError, match="wk of layer 1 has 4 bytes, expected 8192") as refused:
        seal(BYTE_CONFIG, wrong, None, {})
    assert refused.value.code is ErrorCode.SHAPE_MISMATCH


def test_every_pre_tokenizer_can_be_sealed() -> None:
    config = replace(BYTE_CONFIG, vocab_size=262)
    for kind in PreTokenizer:
        seal(config, payloads(config), replace(three_merges(), pre_tokenizer=kind), {})


def test_a_file_replaces_another_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.slm"
    for data in (b"old", b"new"):
        write_atomically(path, data)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("model.slm", b"new")]


def test_a_write_that_fails_leaves_the_old_file_and_no_part_of_the_new(tmp_path: Path) -> None:
    (tmp_path / "model.slm").mkdir()
    with pytest.raises(ToolError, match=r"model\.slm cannot be written"):
        write_atomically(tmp_path / "model.slm", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.slm"]
