"""A checkpoint that was found and understood, whatever its kind: what it says, and a way to its weights.

Opening one reads configuration and tokenizer; weights are first looked at by `open_weights`, and read a few rows at a
time. So a model that cannot be packed is refused before any work, and a large one never lies in memory whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import DType, ModelConfig, TensorSpec
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Vocabulary
from tinypylm_tools.quantise import F32

Rows = NDArray[np.intp]
ReadRows = Callable[[TensorSpec, Rows], F32]
"""(tensor, row numbers) to f32[rows, columns]; f32[rows] of a vector."""

LARGEST_VOCABULARY = 1 << 20
"""Of a checkpoint, before anything is pruned; today's largest have a quarter of it."""


@dataclass(frozen=True, slots=True)
class Source:
    """`found` says in words what it is. `open_weights` checks that the tensors are exactly those of `config`."""

    found: str
    config: ModelConfig
    vocabulary: Vocabulary
    files: Mapping[str, Path]
    """What was read, under the names that the digests get in the metadata."""
    open_weights: Callable[[], ReadRows]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in a checkpoint: `rows` of the stored tensor `name`, which has `shape`; None: all of them."""

    name: str
    shape: tuple[int, ...]
    rows: Rows | None = None

    def stored_rows(self, rows: Rows) -> Rows:
        """The stored tensor's numbers of the rows that are asked for."""
        return rows if self.rows is None else self.rows[rows]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each tensor lies; None means zeros. Of what else is stored only `head` (where it is a copy of tied
    embeddings) and names that end with one of `implied` may be left out."""

    head: str
    place: Callable[[TensorSpec], Place | None]
    implied: tuple[str, ...]


def digest_names(*paths: Path) -> dict[str, Path]:
    """`config_json` for config.json: a metadata key has small letters, digits and underscores."""
    return {re.sub(r"[^a-z0-9]+", "_", path.name.lower()): path for path in paths}


def check_vocab_size(vocab_size: int, where: str) -> int:
    """`vocab_size`, if a list of so many tokens can be made. Raises ToolError."""
    if not 1 <= vocab_size <= LARGEST_VOCABULARY:
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"vocab_size in {where} is {vocab_size}; expected 1 to "
            f"{LARGEST_VOCABULARY:,}.", {"found": vocab_size, "expected": LARGEST_VOCABULARY})
    return vocab_size


def f32(value: float) -> float:
    """The nearest f32, which is what a header stores."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


UNPACKED = DType.F32
"""What a source's configuration says of quantization: a checkpoint does not know how it will be packed."""
