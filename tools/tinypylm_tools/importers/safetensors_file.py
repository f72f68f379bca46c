"""The tensors of a checkpoint in safetensors files: one file, or shards that an index lists.

The package `safetensors` judges whether a file is sound. It has no bfloat16 for NumPy, and no way to say where a
tensor lies, so the header of a sound file is read again here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from safetensors import SafetensorError, safe_open

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.stored_tensor import StoredTensor
from tinypylm_tools.json_fields import Fields, missing, read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


class _Entry(TypedDict):
    """One tensor in a header that the package found sound."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the shards of its index. Raises ToolError where there is neither."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        shards = sorted(set(_weight_map(folder).values()))
        return [_existing_shard(folder / shard) for shard in shards]
    if (folder / "pytorch_model.bin").is_file():
        raise ToolError(
            ErrorCode.MISSING_FILE, f"{folder / WEIGHTS} is missing; pytorch_model.bin means a pickle, which could run "
            "any code. Load the model in transformers and save it with save_pretrained(folder).", {"file": WEIGHTS})
    raise missing(folder / WEIGHTS)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor by name; each shard holds exactly what the index says of it."""
    files = weight_files(folder)
    if files == [folder / WEIGHTS]:
        return read_header(folder / WEIGHTS)
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        for name, tensor in read_header(path).items():
            if name in tensors:
                raise _wrong_shard(name, f"{tensors[name].path.name} and {path.name} both hold {name}")
            tensors[name] = tensor
    for name, shard in _weight_map(folder).items():
        if name not in tensors or tensors[name].path.name != shard:
            raise _wrong_shard(name, f"{INDEX} places {name} in {shard}, which does not hold it")
    return tensors


def _wrong_shard(name: str, what: str) -> ToolError:
    return ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"{what}. Download or export the checkpoint again.", {"tensor": name})


def _weight_map(folder: Path) -> dict[str, str]:
    fields = read_json(folder / INDEX, ErrorCode.UNSUPPORTED_CHECKPOINT).object("weight_map")
    return {name: _file_name(fields, name) for name in fields.values}


def _file_name(fields: Fields, name: str) -> str:
    """A file of the folder itself: an index must not lead anywhere else."""
    value = fields.text(name)
    if Path(value).name != value or not value.endswith(".safetensors"):
        raise fields.unusable(name, value, "the name of a .safetensors file in the same folder")
    return value


def _existing_shard(path: Path) -> Path:
    if not path.is_file():
        raise missing(path)
    return path


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file, by name. Raises ToolError where it is not sound."""
    try:
        with safe_open(path, "np"):
            pass
    except (SafetensorError, OSError) as error:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"{path} is not a sound safetensors file ({error}). "
            "Download or export it again.", {"file": path.name}) from error
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header: dict[str, _Entry] = json.loads(file.read(size))
    base = 8 + size
    return {
        name: StoredTensor(path, entry["dtype"], tuple(entry["shape"]), *(base + at for at in entry["data_offsets"]))
        for name, entry in header.items() if name != "__metadata__"}

