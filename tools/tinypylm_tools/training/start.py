"""Where a run starts: random weights and a tokenizer of its own, or another model with both."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinypylm.config import ModelConfig, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Tensor as StoredTensor
from tinypylm.format import Vocabulary
from tinypylm_tools.exporters.tokenizer_json import tokenizer_json
from tinypylm_tools.importers.detection import open_source
from tinypylm_tools.importers.source import UNPACKED, ReadRows, Rows, Source, digest_names
from tinypylm_tools.importers.tokenizer_json import read_vocabulary
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.quantise import F32, decode
from tinypylm_tools.slm_writer import TensorKey
from tinypylm_tools.training import checkpoint
from tinypylm_tools.training.description import Description, unusable
from tinypylm_tools.training.network import Weights, initial_weights
from tinypylm_tools.training.tokens import train_tokenizer
from tinypylm_tools.vocabulary_pruning import pruned_to


@dataclass(frozen=True, slots=True)
class Start:
    """A model before its first step, its weights not yet made. `tokenizer` is tokenizer.json; `parent` holds the
    SHA-256 of the files that the model came from, by name."""

    config: ModelConfig
    tokenizer: str
    parent: dict[str, str]
    make_weights: Callable[[], dict[TensorKey, Tensor]]


def begin(
    description: Description, documents: Sequence[str], parent: Path | None, teacher: Start | None = None
) -> Start:
    """The model of `parent`, or the one that the description's [model] gives, with a tokenizer of its own or, if it has
    a teacher, with that one's. Raises ToolError for both or neither."""
    if (parent is None) == (description.model is None):
        found = "neither" if parent is None else "both"
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"a run starts from [model] in its description or from --from; found {found}. "
            "Give one of them.", {"found": found})
    if parent is not None:
        return from_model(parent)
    if description.start is not None:
        raise unusable("start", "the description", "a table", "none beside [model]: it reduces the model of --from")
    assert description.model is not None
    config = description.model.config()
    if teacher is not None:
        return _with_tokenizer_of(teacher, config, documents, description.seed)
    tokenizer = train_tokenizer(documents, config.vocab_size)
    return Start(config, tokenizer, {}, lambda: initial_weights(config, description.seed))


def _with_tokenizer_of(teacher: Start, config: ModelConfig, documents: Sequence[str], seed: int) -> Start:
    """Random weights for what the documents need of the teacher's vocabulary."""
    whole = vocabulary_of(teacher.tokenizer, teacher.config.vocab_size)
    pruned, vocabulary, _ = pruned_to(teacher.config, whole, documents)
    if config.vocab_size != pruned.vocab_size:
        raise unusable("vocab_size", "[model]", config.vocab_size,
                       f"{pruned.vocab_size}, which is what these texts need of the teacher's vocabulary")
    student = replace(config, bos_id=pruned.bos_id, eos_id=pruned.eos_id)
    return Start(student, _spelled(vocabulary, student), {}, lambda: initial_weights(student, seed))


def vocabulary_of(tokenizer: str, vocab_size: int) -> Vocabulary:
    """The vocabulary that a packed file will have, through the importer that others' tokenizers come in by."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(tokenizer, encoding="utf-8")
        return read_vocabulary(path, vocab_size)


def from_model(path: Path) -> Start:
    """A .slm file, the folder of another run, or whatever `tinypylm pack` reads."""
    if path.suffix == ".slm":
        return _from_slm(path)
    written = path / checkpoint.BEST
    if written.is_file():
        other = checkpoint.read(written)
        return Start(other.config, other.tokenizer, _digests(digest_names(written)), lambda: other.weights)
    return from_source(open_source(path))


def _from_slm(path: Path) -> Start:
    file = open_model(path)
    config, tensors = file.model.config, file.model.tensors
    return Start(
        replace(config, quantization=UNPACKED), _spelled(file.model.tokenizer, config), _digests(digest_names(path)),
        lambda: {(tensor.role, tensor.layer): torch.from_numpy(_decoded(file, tensor)) for tensor in tensors})


def _decoded(file: ModelFile, tensor: StoredTensor) -> F32:
    return decode(file.data[tensor.offset : tensor.offset + tensor.payload_bytes], tensor.dtype, tensor.shape)


def from_source(source: Source) -> Start:
    """A checkpoint that was opened; its weights are read when they are made."""
    def weights() -> dict[TensorKey, Tensor]:
        read = source.open_weights()
        return {(spec.role, spec.layer): torch.from_numpy(np.ascontiguousarray(read(spec, np.arange(spec.shape[0]))))
                for spec in expected_tensors(source.config)}

    return Start(source.config, _spelled(source.vocabulary, source.config), _digests(source.files), weights)


def source_of(start: Start, files: Mapping[str, Path]) -> Source:
    """The other way round: the model as a checkpoint that the packer takes, made from these files."""
    vocabulary = vocabulary_of(start.tokenizer, start.config.vocab_size)
    return Source("a training run", start.config, vocabulary, files, lambda: _reader(start.make_weights()))


def _reader(weights: Weights) -> ReadRows:
    arrays = {key: weight.numpy() for key, weight in weights.items()}

    def read(spec: TensorSpec, rows: Rows) -> F32:
        values: F32 = arrays[spec.role, spec.layer][rows]
        return values

    return read


def _spelled(vocabulary: Vocabulary, config: ModelConfig) -> str:
    return json.dumps(tokenizer_json(vocabulary, config.bos_id), ensure_ascii=False)


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
