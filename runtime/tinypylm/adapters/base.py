"""What of a model file an adapter package is bound to."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tinypylm.format import Model
from tinypylm.format.header import HEADER_BYTES, TENSOR_ENTRY_BYTES

DIMENSIONS = ("vocab_size", "hidden_size", "n_layers", "n_heads", "n_kv_heads", "head_dim", "ffn_size")
"""The header's fields that a package repeats, in its order, so that a refusal can name the one that differs."""

_CONFIGURATION = slice(8, 64)
_IDENTITY_BYTES = 16


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """A base as a package names it; `sha256` is the digest of the whole file."""

    tensor_count: int
    dimensions: tuple[int, ...]
    layout_checksum: int
    tokenizer_checksum: int
    sha256: bytes


def base_facts(model: Model, head: bytes | memoryview, sha256: bytes) -> BaseFacts:
    """The facts of `model`, whose file starts with `head` (at least to the end of the tokenizer section)."""
    header = model.header
    dimensions = tuple(getattr(model.config, name) for name in DIMENSIONS)
    tokenizer = head[header.tokenizer_offset : header.tokenizer_end]
    return BaseFacts(len(model.tensors), dimensions, _layout_checksum(model, head), zlib.crc32(tokenizer), sha256)


def _layout_checksum(model: Model, head: bytes | memoryview) -> int:
    """CRC-32 of the header from family to norm_epsilon, and of role, dtype, rank, layer and shape of every tensor."""
    checksum = zlib.crc32(head[_CONFIGURATION])
    for index in range(len(model.tensors)):
        entry = HEADER_BYTES + index * TENSOR_ENTRY_BYTES
        checksum = zlib.crc32(head[entry : entry + _IDENTITY_BYTES], checksum)
    return checksum
