"""Small sealed models of both families, with real vocabularies, to be exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.tokenizer.hugging_face import SINGLE_DIGITS, byte_level, save
from tests.tools.importers import llama2c_files
from tinypylm.config import DType, Family, ModelConfig, expected_tensors
from tinypylm.format import Vocabulary
from tinypylm.format.vocabulary import byte_vocabulary
from tinypylm_tools.fixtures import BYTE_CONFIG, three_merges
from tinypylm_tools.importers import llama2c_tokenizer, tokenizer_json
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.quantise import encode
from tinypylm_tools.slm_writer import Payload, seal, stored_dtype

TEXT = Path(__file__).parents[2].joinpath("data", "languages.txt").read_text(encoding="utf-8")
LLAMA = replace(BYTE_CONFIG, context_length=48, rope_theta=5000.0)
NEOX = replace(LLAMA, family=Family.GPT_NEOX, tied_embeddings=False, parallel_residual=True, n_kv_heads=4, rotary_dim=4)


def sealed(path: Path, config: ModelConfig, vocabulary: Vocabulary | None = None, special: int = 0) -> ModelFile:
    """A file with random weights; begin and end are tokens `special` and the one behind it."""
    if vocabulary is not None:
        config = replace(config, vocab_size=len(vocabulary.tokens), bos_id=special, eos_id=special + 1)
    rng = np.random.default_rng(7)
    payloads = {}
    for spec in expected_tensors(config):
        weights = rng.standard_normal(spec.shape).astype(np.float32) * np.float32(0.3 if len(spec.shape) == 2 else 1)
        dtype = stored_dtype(spec.shape, config.quantization)
        payloads[spec.role, spec.layer] = Payload(dtype, encode(weights, dtype, spec.role.label))
    path.write_bytes(seal(config, payloads, vocabulary, {"name": "x"}))
    return open_model(path)


def vocabularies(folder: Path) -> dict[str, tuple[Vocabulary, int]]:
    """Each kind that can be exported to both formats, with the id of its begin token."""
    made = {}
    for name, cut in (("gpt2", None), ("digits", SINGLE_DIGITS)):
        size = save(byte_level(TEXT) if cut is None else byte_level(TEXT, cut), folder)
        made[name] = tokenizer_json.read_vocabulary(folder / "tokenizer.json", size + 3), 0
    tokens = llama2c_files.scored([" ", *"abcdefghijklmnopqrstuvwxyz.,", " t", "he", " the", "in", "ing", "an", "and"])
    (folder / "tokenizer.bin").write_bytes(llama2c_files.tokenizer_bin(tokens))
    made["scores"] = llama2c_tokenizer.read_vocabulary(folder / "tokenizer.bin", len(tokens)), 1
    return made


def bytes_only() -> tuple[Vocabulary, int]:
    return byte_vocabulary(259), 256


def merging_without_cuts() -> tuple[Vocabulary, int]:
    return three_merges(), 256


QUANTISED = [DType.F32, DType.Q8_0, DType.Q4_0]
