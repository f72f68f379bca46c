"""From a source to the bytes of a `.slm` file: `plan` proves that it fits, `pack` reads the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.config import ModelConfig, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, FormatError, ToolError
from tinypylm.format import parse, parse_header
from tinypylm.format.metadata import METADATA_KEYS
from tinypylm.format.vocabulary import parse_vocabulary
from tinypylm_tools import budget, quantise, quantise_search
from tinypylm_tools.activation_statistics import input_squares
from tinypylm_tools.choices import Choices, check_mixed
from tinypylm_tools.importers.source import Source
from tinypylm_tools.json_fields import read_json
from tinypylm_tools.layer_dropping import drop_layers
from tinypylm_tools.slm_writer import Draft, encode_header, encode_vocabulary, plan_sections
from tinypylm_tools.tensor_encoding import Encode, TensorError, encode_into
from tinypylm_tools.vocabulary_pruning import prune_vocabulary

_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """A file that will fit: everything about it but its weights, and the digests of what it is made from."""

    source: Source
    config: ModelConfig
    choices: Choices
    tokenizer: bytes
    metadata: JsonObject

    @property
    def parameters(self) -> int:
        return sum(prod(spec.shape) for spec in expected_tensors(self.config))


@dataclass(frozen=True, slots=True)
class Packed:
    """A sealed file, and what storing it cost each tensor in precision."""

    data: bytearray
    errors: tuple[TensorError, ...]


def plan(source: Source, choices: Choices, metadata: JsonObject) -> Recipe:
    """What packing `source` will make. Raises ToolError or BudgetError before any weight is read."""
    recorded = choices.record(source.config)
    source = _reduced(source, choices)
    config = _config(source, choices)
    budget.check_dimensions(config)
    check_mixed(choices.mixed, config)
    tokenizer = encode_vocabulary(source.vocabulary)
    parse_vocabulary(memoryview(tokenizer), config.vocab_size)
    metadata = metadata | recorded | _sources(metadata, dict.fromkeys(source.files, _NO_DIGEST))
    sizes = len(tokenizer), len(canonical.dumps(metadata))
    budget.check_file(config, choices, *sizes)
    sections = plan_sections(config, choices.dtypes(config), *sizes)
    budget.check_memory(config, sections.file_bytes)
    _check_header(encode_header(config, sections, *sizes))
    return Recipe(source, config, choices, tokenizer, metadata)


def _sources(metadata: JsonObject, digests: Mapping[str, str]) -> JsonObject:
    """`source_sha256` of the metadata: what they have of it already, with the files' own."""
    given = metadata.get("source_sha256")
    return {"source_sha256": {**(given if isinstance(given, dict) else {}), **digests}}


def pack(recipe: Recipe, progress: Callable[[int], None]) -> Packed:
    """The sealed file; `progress` is told the number of weights of each tensor that is done.

    Needs memory for the file and a few rows of a tensor.
    """
    digests = {name: _sha256(path) for name, path in recipe.source.files.items()}
    metadata = recipe.metadata | _sources(recipe.metadata, digests)
    read, encoder = recipe.source.open_weights(), _encoder(recipe)
    draft = Draft(recipe.config, recipe.choices.dtypes(recipe.config), recipe.tokenizer, canonical.dumps(metadata))
    errors = []
    for index, spec in enumerate(expected_tensors(recipe.config)):
        errors.append(encode_into(draft.payload(index), spec, recipe.choices.dtype(spec), read, encoder(spec)))
        progress(prod(spec.shape))
    data = draft.seal()
    parse(data)
    return Packed(data, tuple(errors))


def _encoder(recipe: Recipe) -> Callable[[TensorSpec], Encode]:
    """The encoder of each tensor: the default rule, or the search, with what a calibration text says of its columns."""
    if not recipe.choices.search:
        return lambda _: quantise.encode
    text = recipe.choices.calibration_text
    squares = {} if text is None else input_squares(recipe.source, text)

    def searching(spec: TensorSpec) -> Encode:
        importance = squares.get((spec.role, spec.layer))
        return lambda values, dtype, name: quantise_search.encode(values, dtype, name, importance)

    return searching


def read_metadata(path: Path) -> JsonObject:
    """The metadata that a JSON file states. Raises ToolError for a key that the format does not have."""
    fields = read_json(path, ErrorCode.UNUSABLE_METADATA)
    metadata: JsonObject = {}
    stated = {key: rule for key, rule in METADATA_KEYS.items() if key != "packing"}  # `plan` states that
    for key, value in fields.values.items():
        accepts, expected = stated.get(key, (None, f"no key but {', '.join(stated)}"))
        known: JsonValue = value  # type: ignore[assignment]  # `accepts` decides
        if accepts is None or not accepts(known):
            raise fields.unusable(key, value, expected)
        metadata[key] = known
    return metadata


def _reduced(source: Source, choices: Choices) -> Source:
    """The source without what was chosen to be left out. Its vocabulary may be over the cap until then."""
    budget.check_dimensions(_config(source, choices), but="vocab_size" if choices.pruning_text else None)
    if choices.dropped_layers:
        source = drop_layers(source, choices.dropped_layers)
    return source if choices.pruning_text is None else prune_vocabulary(source, [choices.pruning_text])


def _config(source: Source, choices: Choices) -> ModelConfig:
    wanted, trained = choices.context_length, source.config.context_length
    if wanted is not None and not 1 <= wanted <= trained:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"A context of {wanted} tokens was asked for; the model was trained "
            f"for {trained}. Ask for 1 to {trained}.", {"found": wanted, "expected": trained})
    return replace(source.config, quantization=choices.quantization, context_length=wanted or trained)


def _check_header(header: bytes) -> None:
    """What is left of the header's rules, in words about the checkpoint."""
    try:
        parse_header(header)
    except FormatError as error:
        found = "{where} is {found}, expected {expected}".format(**error.detail)
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"The checkpoint describes a model that the format does not have: "
            f"{found}.", error.detail) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
