"""Bytes that a vocabulary has no token for get one each, behind the others, so that every text can be encoded.

Byte-level tokenizers that were trained without the whole alphabet lack some (SmolLM's lacks 21) and drop these bytes.
The row of an added token is the mean of all rows of its table, so its logit is the mean of all logits: never the
highest, and its probability at most 1 / vocab_size. Greedy texts stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinypylm.config import Role, TensorSpec
from tinypylm_tools.importers.source import ReadRows, Rows, Source
from tinypylm_tools.quantise import F32

_TOKEN_ROLES = (Role.TOK_EMBEDDINGS, Role.OUTPUT)
_ROWS_AT_ONCE = 1024


def with_byte_tokens(source: Source) -> Source:
    """`source`, grown to its vocabulary, which has more tokens than its configuration where bytes were missing."""
    known, size = source.config.vocab_size, len(source.vocabulary.tokens)
    if size == known:
        return source

    def open_weights() -> ReadRows:
        read = source.open_weights()
        means: dict[Role, F32] = {}

        def read_all(spec: TensorSpec, rows: Rows) -> F32:
            if spec.role not in _TOKEN_ROLES or rows.max() < known:
                return read(spec, rows)
            stored = replace(spec, shape=(known, *spec.shape[1:]))
            if spec.role not in means:
                means[spec.role] = _mean_row(read, stored)
            values = np.empty((len(rows), spec.shape[1]), np.float32)
            values[rows < known] = read(stored, rows[rows < known])
            values[rows >= known] = means[spec.role]
            return values

        return read_all

    return replace(
        source, found=f"{source.found}; {size - known} bytes without a token get one each",
        config=replace(source.config, vocab_size=size), open_weights=open_weights)


def _mean_row(read: ReadRows, spec: TensorSpec) -> F32:
    total = np.zeros(spec.shape[1])
    for first in range(0, spec.shape[0], _ROWS_AT_ONCE):
        rows = np.arange(first, min(first + _ROWS_AT_ONCE, spec.shape[0]))
        total += read(spec, rows).sum(axis=0, dtype=np.float64)
    return (total / spec.shape[0]).astype(np.float32)
