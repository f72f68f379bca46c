"""From a checkpoint folder to the bytes of a `.slm` file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.config import DType, ModelConfig, expected_tensors
from tinypylm.errors import BudgetError, ErrorCode, FormatError, ToolError
from tinypylm.format import Vocabulary, parse_header, tensor_name
from tinypylm.format.header import DIMENSION_CAPS
from tinypylm.format.metadata import METADATA_KEYS
from tinypylm.memory import ENGINE_MEMORY_BUDGET_BYTES, plan_memory
from tinypylm_tools import quantise
from tinypylm_tools.checkpoint import read_config, read_weights
from tinypylm_tools.hugging_face_tokenizer import read_vocabulary
from tinypylm_tools.json_fields import read_json
from tinypylm_tools.slm_writer import (
    Payload,
    Sections,
    encode_header,
    encode_vocabulary,
    plan_sections,
    seal,
    stored_dtype,
)

_CHECKPOINT_FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about a file but its weights; `sections` proves that it fits."""

    folder: Path
    config: ModelConfig
    vocabulary: Vocabulary
    metadata: JsonObject
    sections: Sections

    @property
    def parameters(self) -> int:
        return sum(prod(spec.shape) for spec in expected_tensors(self.config))


def plan(folder: Path, quantization: DType, context_length: int | None, metadata: JsonObject) -> Recipe:
    """What packing `folder` will make. Raises ToolError or BudgetError before any weight is read."""
    config = read_config(folder, quantization, context_length)
    _check_dimensions(config)
    vocabulary = read_vocabulary(folder, config.vocab_size)
    metadata = metadata | {"source_sha256": _digests(folder)}
    dtypes = {(spec.role, spec.layer): stored_dtype(spec.shape, quantization) for spec in expected_tensors(config)}
    sizes = len(encode_vocabulary(vocabulary)), len(canonical.dumps(metadata))
    sections = plan_sections(config, dtypes, *sizes)
    _check_memory(config, sections.file_bytes)
    _check_header(encode_header(config, sections, *sizes))
    return Recipe(folder, config, vocabulary, metadata, sections)


def pack(recipe: Recipe, progress: Callable[[int], None]) -> bytes:
    """The sealed file; `progress` is told the number of weights of each tensor that is done."""
    payloads = {}
    for spec, weights in read_weights(recipe.folder, recipe.config):
        dtype = stored_dtype(spec.shape, recipe.config.quantization)
        payloads[spec.role, spec.layer] = Payload(
            dtype, quantise.encode(weights, dtype, tensor_name(spec.role, spec.layer)))
        progress(prod(spec.shape))
    return seal(recipe.config, payloads, recipe.vocabulary, recipe.metadata)


def read_metadata(path: Path) -> JsonObject:
    """The metadata that a JSON file states. Raises ToolError for a key that the format does not have."""
    fields = read_json(path, ErrorCode.UNUSABLE_METADATA)
    metadata: JsonObject = {}
    for key, value in fields.values.items():
        accepts, expected = METADATA_KEYS.get(key, (None, f"no key but {', '.join(METADATA_KEYS)}"))
        known: JsonValue = value  # type: ignore[assignment]  # `accepts` decides
        if accepts is None or not accepts(known):
            raise fields.unusable(key, value, expected)
        metadata[key] = known
    return metadata


def _check_dimensions(config: ModelConfig) -> None:
    for name, cap in DIMENSION_CAPS.items():
        value = getattr(config, name)
        if not 1 <= value <= cap:
            raise ToolError(
                ErrorCode.BUDGET_EXCEEDED, f"{name} is {value:,}; the format allows 1 to {cap:,}.",
                {"field": name, "found": value, "expected": cap})


def _check_memory(config: ModelConfig, file_bytes: int) -> None:
    needed = plan_memory(config, file_bytes).total_bytes
    if needed > ENGINE_MEMORY_BUDGET_BYTES:
        raise BudgetError(
            ErrorCode.BUDGET_EXCEEDED, f"Running the packed model would take {needed:,} bytes of memory; a model may "
            f"take {ENGINE_MEMORY_BUDGET_BYTES:,}. Pack it with a shorter --context-length than "
            f"{config.context_length}.", {"found": needed, "expected": ENGINE_MEMORY_BUDGET_BYTES})


def _check_header(header: bytes) -> None:
    """What is left of the header's rules, in words about config.json."""
    try:
        parse_header(header)
    except FormatError as error:
        found = "{where} is {found}, expected {expected}".format(**error.detail)
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"config.json describes a model that the format does not have: {found}.",
            error.detail) from error


def _digests(folder: Path) -> JsonObject:
    """SHA-256 of the checkpoint's files, under the names `config_json`, ..."""
    found = [folder / name for name in _CHECKPOINT_FILES if (folder / name).is_file()]
    return {path.name.replace(".", "_"): _sha256(path) for path in found}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
