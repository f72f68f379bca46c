"""A checkpoint in several safetensors files, and every index that lies about them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from tests.tools.importers.neox_folder import make_neox, split_into_shards, write_index
from tests.tools.packed import pack_f32
from tinypylm.errors import ErrorCode, ToolError

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_neox(tmp_path)


def test_shards_are_packed_as_one_file_is(folder: Path) -> None:
    whole, whole_data = pack_f32(folder)
    split_into_shards(folder)
    model, data = pack_f32(folder)
    start = whole.tensors[0].offset
    assert data[model.tensors[0].offset:] == whole_data[start:]


def test_every_shard_has_its_digest_in_the_metadata(folder: Path) -> None:
    split_into_shards(folder)
    digests = pack_f32(folder)[0].metadata["source_sha256"]
    assert isinstance(digests, dict)
    assert digests["model_00002_of_00003_safetensors"] == hashlib.sha256((folder / SHARD).read_bytes()).hexdigest()
    assert len(digests) == 5


def test_a_shard_that_is_not_there_is_named(folder: Path) -> None:
    split_into_shards(folder)
    (folder / SHARD).unlink()
    with pytest.raises(ToolError, match=f"{SHARD} is missing") as refused:
        pack_f32(folder)
    assert refused.value.code is ErrorCode.MISSING_FILE


@pytest.mark.parametrize("target", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "model.bin", ".."])
def test_an_index_does_not_lead_out_of_its_folder(folder: Path, target: str) -> None:
    shard_of = split_into_shards(folder)
    write_index(folder, shard_of | {"embed_out.weight": target})
    with pytest.raises(ToolError, match=r"expected the name of a \.safetensors file in the same folder"):
        pack_f32(folder)


def test_a_tensor_that_is_not_where_the_index_says_is_named(folder: Path) -> None:
    shard_of = split_into_shards(folder)
    other = next(shard for shard in shard_of.values() if shard != shard_of["embed_out.weight"])
    write_index(folder, shard_of | {"embed_out.weight": other})
    with pytest.raises(ToolError, match=f"places embed_out.weight in {other}, which does not hold it"):
        pack_f32(folder)


def test_a_tensor_in_two_shards_is_refused(folder: Path) -> None:
    shard_of = split_into_shards(folder)
    other = next(shard for shard in shard_of.values() if shard != shard_of["embed_out.weight"])
    twice = load_file(folder / shard_of["embed_out.weight"])["embed_out.weight"]
    save_file(load_file(folder / other) | {"embed_out.weight": twice}, folder / other)
    with pytest.raises(ToolError, match=r"both hold embed_out\.weight"):
        pack_f32(folder)
