"""The 108 bytes that a file starts with, and every rule that they alone can break.

`parse_header` runs before the rest of a model is downloaded: what it accepts has dimensions under a cap, sections in
their places and a memory plan within the budget.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import NamedTuple

from tinypylm.config import DType, Family, ModelConfig, expected_tensors
from tinypylm.format.codes import FormatCode, refusal
from tinypylm.format.extent import MODEL_BYTE_BUDGET, checked_extent
from tinypylm.memory import ENGINE_MEMORY_BUDGET_BYTES, aligned, plan_memory

MAGIC = b"SLM1"
VERSION = 1
HEADER = struct.Struct("<4sHH12I2f11I")
HEADER_BYTES = HEADER.size
TENSOR_ENTRY_BYTES = 64
CHECKSUM_OFFSET = 104
METADATA_CAP_BYTES = 65_536
NO_TOKEN = 0xFFFF_FFFF

FLAG_TIED = 1
FLAG_PARALLEL_RESIDUAL = 2
FLAG_INTERLEAVED_ROTARY = 4
FLAG_GELU_TANH = 8
_KNOWN_FLAGS = 15
_NEOX_FLAGS = FLAG_PARALLEL_RESIDUAL | FLAG_GELU_TANH

BYTE_BOS, BYTE_EOS, BYTE_PAD = 256, 257, 258
BYTE_VOCABULARY = 259

DIMENSION_CAPS = {
    "vocab_size": 131_072,      # the largest vocabularies of today's models have 128,256 tokens
    "hidden_size": 8_192,       # wq alone is hidden_size squared: 37 MB in q4_0 at this width
    "n_layers": 256,
    "n_heads": 256,
    "n_kv_heads": 256,
    "head_dim": 512,
    "ffn_size": 65_536,
    "context_length": 131_072,  # the memory budget refuses most contexts long before this
    "rotary_dim": 512,
}
"""The largest value of each dimension, so that no sum of products built on a header can grow without bound."""


class RawHeader(NamedTuple):
    """The header's fields in file order, as stored."""

    magic: bytes
    version: int
    header_bytes: int
    family: int
    quantization: int
    flags: int
    vocab_size: int
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    ffn_size: int
    context_length: int
    rotary_dim: int
    rope_theta: float
    norm_epsilon: float
    bos_id: int
    eos_id: int
    tensor_count: int
    tensor_table_offset: int
    tokenizer_offset: int
    tokenizer_bytes: int
    metadata_offset: int
    metadata_bytes: int
    payload_offset: int
    file_bytes: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header: what the model is, and where the sections of its file lie."""

    config: ModelConfig
    tensor_count: int
    tensor_table_offset: int
    tokenizer_offset: int
    tokenizer_bytes: int
    metadata_offset: int
    metadata_bytes: int
    payload_offset: int
    file_bytes: int
    checksum: int

    @property
    def tensor_table_end(self) -> int:
        return self.tensor_table_offset + self.tensor_count * TENSOR_ENTRY_BYTES

    @property
    def tokenizer_end(self) -> int:
        return self.tokenizer_offset + self.tokenizer_bytes

    @property
    def metadata_end(self) -> int:
        return self.metadata_offset + self.metadata_bytes


def parse_header(data: bytes | bytearray | memoryview) -> Header:
    """The header in the first 108 bytes of `data`. Raises FormatError."""
    view = memoryview(data).cast("B")
    if len(view) < HEADER_BYTES:
        raise refusal(FormatCode.TRUNCATED_HEADER, "header", f"{len(view)} bytes", f"{HEADER_BYTES} bytes")
    raw = RawHeader._make(HEADER.unpack_from(view))
    _check_identity(raw)
    config = _config(raw)
    _check_sections(raw, config)
    _check_memory(raw, config)
    return Header(
        config, raw.tensor_count, raw.tensor_table_offset, raw.tokenizer_offset, raw.tokenizer_bytes,
        raw.metadata_offset, raw.metadata_bytes, raw.payload_offset, raw.file_bytes, raw.checksum)


def _check_identity(raw: RawHeader) -> None:
    _expect(raw.magic == MAGIC, FormatCode.BAD_MAGIC, "magic at byte 0", raw.magic, MAGIC)
    _expect(raw.version == VERSION, FormatCode.UNSUPPORTED_VERSION, "version at byte 4", raw.version, VERSION)
    _expect(raw.header_bytes == HEADER_BYTES, FormatCode.BAD_HEADER_SIZE, "header_bytes at byte 6",
            raw.header_bytes, HEADER_BYTES)


def _config(raw: RawHeader) -> ModelConfig:
    family, quantization = _kinds(raw)
    _check_flags(raw.flags, family)
    _check_dimensions(raw, family)
    _check_numbers(raw)
    return ModelConfig(
        family, quantization, bool(raw.flags & FLAG_TIED), bool(raw.flags & FLAG_PARALLEL_RESIDUAL),
        bool(raw.flags & FLAG_INTERLEAVED_ROTARY), bool(raw.flags & FLAG_GELU_TANH),
        raw.vocab_size, raw.hidden_size, raw.n_layers, raw.n_heads, raw.n_kv_heads, raw.head_dim, raw.ffn_size,
        raw.context_length, raw.rotary_dim, raw.rope_theta, raw.norm_epsilon,
        _special(raw.bos_id, raw.vocab_size, FormatCode.BOS_OUT_OF_RANGE, "bos_id at byte 64"),
        _special(raw.eos_id, raw.vocab_size, FormatCode.EOS_OUT_OF_RANGE, "eos_id at byte 68"),
    )


def _kinds(raw: RawHeader) -> tuple[Family, DType]:
    families, types = {int(f) for f in Family}, {int(t) for t in DType}
    _expect(raw.family in families, FormatCode.UNKNOWN_FAMILY, "family at byte 8", raw.family,
            "1 (Llama) or 2 (GPT-NeoX)")
    _expect(raw.quantization in types, FormatCode.UNKNOWN_QUANTIZATION, "quantization at byte 12",
            raw.quantization, "0 (f32), 1 (q8_0) or 2 (q4_0)")
    return Family(raw.family), DType(raw.quantization)


def _check_flags(flags: int, family: Family) -> None:
    _expect(flags & ~_KNOWN_FLAGS == 0, FormatCode.UNKNOWN_FLAGS, "flags at byte 16", f"0x{flags:x}",
            "no bits but 0 to 3")
    _expect(family is Family.GPT_NEOX or flags & _NEOX_FLAGS == 0, FormatCode.FLAG_NOT_FOR_FAMILY,
            "flags at byte 16", f"0x{flags:x}", "bits 1 and 3 only with family 2 (GPT-NeoX)")


def _check_dimensions(raw: RawHeader, family: Family) -> None:
    for name, cap in DIMENSION_CAPS.items():
        value = getattr(raw, name)
        _expect(value > 0, FormatCode.DIMENSION_ZERO, name, value, f"1 to {cap}")
        _expect(value <= cap, FormatCode.DIMENSION_OVER_CAP, name, value, f"1 to {cap}")
    _expect(raw.head_dim % 2 == 0, FormatCode.HEAD_DIM_ODD, "head_dim", raw.head_dim, "an even number")
    heads = raw.n_heads * raw.head_dim
    _expect(raw.hidden_size == heads, FormatCode.HIDDEN_SIZE_MISMATCH, "hidden_size", raw.hidden_size,
            f"n_heads * head_dim = {heads}")
    neox = family is Family.GPT_NEOX
    grouped = raw.n_kv_heads == raw.n_heads if neox else raw.n_heads % raw.n_kv_heads == 0
    _expect(grouped, FormatCode.KV_HEADS_MISMATCH, "n_kv_heads", raw.n_kv_heads,
            f"{'exactly' if neox else 'a divisor of'} n_heads = {raw.n_heads}")
    full = raw.rotary_dim == raw.head_dim
    partial = neox and raw.rotary_dim % 2 == 0 and raw.rotary_dim <= raw.head_dim
    _expect(full or partial, FormatCode.ROTARY_DIM_INVALID, "rotary_dim", raw.rotary_dim,
            f"an even number up to head_dim = {raw.head_dim}" if neox else f"head_dim = {raw.head_dim}")


def _check_numbers(raw: RawHeader) -> None:
    for name, code in (
        ("rope_theta", FormatCode.ROPE_THETA_INVALID), ("norm_epsilon", FormatCode.NORM_EPSILON_INVALID)
    ):
        value = getattr(raw, name)
        _expect(math.isfinite(value) and value > 0, code, name, str(value), "a finite number above 0")


def _special(token: int, vocab_size: int, code: FormatCode, where: str) -> int | None:
    _expect(token < vocab_size or token == NO_TOKEN, code, where, token,
            f"a token below vocab_size = {vocab_size}, or 0x{NO_TOKEN:x} for none")
    return None if token == NO_TOKEN else token


def _check_sections(raw: RawHeader, config: ModelConfig) -> None:
    """Every section starts at the next multiple of 64 after the one before it, and ends inside the file."""
    _check_sizes(raw, config)
    _at(raw.tensor_table_offset, HEADER_BYTES, FormatCode.TABLE_OFFSET_MISMATCH, "tensor_table_offset")
    end = checked_extent(HEADER_BYTES, raw.tensor_count, TENSOR_ENTRY_BYTES, raw.file_bytes, "tensor table")
    _at(raw.tokenizer_offset, aligned(end), FormatCode.TOKENIZER_OFFSET_MISMATCH, "tokenizer_offset")
    end = checked_extent(raw.tokenizer_offset, raw.tokenizer_bytes, 1, raw.file_bytes, "tokenizer section")
    _at(raw.metadata_offset, aligned(end), FormatCode.METADATA_OFFSET_MISMATCH, "metadata_offset")
    end = checked_extent(raw.metadata_offset, raw.metadata_bytes, 1, raw.file_bytes, "metadata section")
    _at(raw.payload_offset, aligned(end), FormatCode.PAYLOAD_OFFSET_MISMATCH, "payload_offset")
    _expect(raw.checksum != 0, FormatCode.ZERO_CHECKSUM, "checksum at byte 104", 0, "a number that is not zero")


def _check_sizes(raw: RawHeader, config: ModelConfig) -> None:
    if raw.tokenizer_bytes == 0:
        _check_byte_tokenizer(config)
    tensors = len(expected_tensors(config))
    _expect(raw.tensor_count == tensors, FormatCode.TENSOR_COUNT_MISMATCH, "tensor_count at byte 72",
            raw.tensor_count, f"{tensors}, which the configuration implies")
    _expect(raw.metadata_bytes <= METADATA_CAP_BYTES, FormatCode.METADATA_TOO_LARGE, "metadata_bytes at byte 92",
            raw.metadata_bytes, f"at most {METADATA_CAP_BYTES}")
    _expect(raw.file_bytes <= MODEL_BYTE_BUDGET, FormatCode.FILE_TOO_LARGE, "file_bytes at byte 100",
            raw.file_bytes, f"at most {MODEL_BYTE_BUDGET}")


def _check_byte_tokenizer(config: ModelConfig) -> None:
    _expect(config.vocab_size >= BYTE_VOCABULARY, FormatCode.BYTE_VOCABULARY_TOO_SMALL, "vocab_size",
            config.vocab_size, f"at least {BYTE_VOCABULARY} with the byte tokenizer")
    found = config.bos_id, config.eos_id
    _expect(found[0] in (None, BYTE_BOS) and found[1] in (None, BYTE_EOS), FormatCode.BYTE_SPECIALS_MISMATCH,
            "bos_id and eos_id", found, f"{BYTE_BOS} and {BYTE_EOS}, or none, with the byte tokenizer")


def _check_memory(raw: RawHeader, config: ModelConfig) -> None:
    needed = plan_memory(config, raw.file_bytes).total_bytes
    _expect(needed <= ENGINE_MEMORY_BUDGET_BYTES, FormatCode.MEMORY_OVER_BUDGET, "memory that the header asks for",
            needed, f"at most {ENGINE_MEMORY_BUDGET_BYTES} bytes", "Pack the model with a shorter context.")


def _at(found: int, expected: int, code: FormatCode, where: str) -> None:
    _expect(found == expected, code, where, found, expected)


def _expect(holds: bool, code: FormatCode, where: str, found: object, expected: object, *advice: str) -> None:
    if not holds:
        raise refusal(code, where, found, expected, *advice)
