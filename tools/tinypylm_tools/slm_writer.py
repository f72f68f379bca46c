"""Seals a `.slm` file: `Draft` lays out the bytes, `write_atomically` puts them on disk whole or not at all."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.config import DType, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Vocabulary, tensor_name
from tinypylm.format import header as header_format
from tinypylm.format.header import CHECKSUM_OFFSET, HEADER, HEADER_BYTES, NO_TOKEN, TENSOR_ENTRY_BYTES, RawHeader
from tinypylm.format.parser import file_checksum, parse
from tinypylm.format.tensors import ENTRY, GLOBAL_LAYER, RawEntry
from tinypylm.format.vocabulary import MAGIC, SECTION_HEADER, TOKEN_CAP_BYTES, TOKEN_HEADER
from tinypylm.memory import aligned
from tinypylm.quant import allows_quantisation, payload_bytes

TensorKey = tuple[Role, int | None]
NOT_SEALED = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Payload:
    """A tensor's bytes, encoded as `dtype`."""

    dtype: DType
    data: bytes


@dataclass(frozen=True, slots=True)
class Sections:
    """Where everything of a file will lie, known before any weight is read."""

    tokenizer_offset: int
    metadata_offset: int
    payload_offset: int
    tensor_offsets: tuple[int, ...]
    file_bytes: int


def stored_dtype(shape: tuple[int, ...], quantization: DType) -> DType:
    """The type of a tensor in a model of this quantization: f32 for vectors, and for rows not a multiple of 32."""
    return quantization if allows_quantisation(shape) else DType.F32


def plan_sections(
    config: ModelConfig, dtypes: Mapping[TensorKey, DType], tokenizer_bytes: int, metadata_bytes: int
) -> Sections:
    """The layout of a file with these sections, whatever its size."""
    specs = expected_tensors(config)
    tokenizer = aligned(HEADER_BYTES + len(specs) * TENSOR_ENTRY_BYTES)
    metadata = aligned(tokenizer + tokenizer_bytes)
    end = metadata + metadata_bytes
    offsets = []
    for spec in specs:
        offsets.append(aligned(end))
        end = offsets[-1] + payload_bytes(dtypes[spec.role, spec.layer], spec.shape)
    return Sections(tokenizer, metadata, offsets[0], tuple(offsets), end)


class Draft:
    """A file of its final size whose payloads are zeros: fill each `payload`, then `seal`. Nothing is copied."""

    def __init__(self, config: ModelConfig, dtypes: Mapping[TensorKey, DType], tokenizer: bytes, metadata: bytes):
        self._specs, self._dtypes = expected_tensors(config), dtypes
        self._sections = plan_sections(config, dtypes, len(tokenizer), len(metadata))
        self._file = bytearray(self._sections.file_bytes)
        self._put(0, encode_header(config, self._sections, len(tokenizer), len(metadata)))
        self._put(self._sections.tokenizer_offset, tokenizer)
        self._put(self._sections.metadata_offset, metadata)

    def _put(self, offset: int, data: bytes) -> None:
        self._file[offset : offset + len(data)] = data

    def payload(self, index: int) -> memoryview:
        """The bytes of tensor `index`, in the order of `expected_tensors`."""
        spec, offset = self._specs[index], self._sections.tensor_offsets[index]
        size = payload_bytes(self._dtypes[spec.role, spec.layer], spec.shape)
        return memoryview(self._file)[offset : offset + size]

    def seal(self) -> bytearray:
        """The file, with tensor table and checksums; not checked against the format's other rules."""
        for index, spec in enumerate(self._specs):
            entry = self._entry(index, spec)
            ENTRY.pack_into(self._file, HEADER_BYTES + index * TENSOR_ENTRY_BYTES, *entry)
        reseal(self._file)
        return self._file

    def _entry(self, index: int, spec: TensorSpec) -> RawEntry:
        payload = self.payload(index)
        rows, columns = (*spec.shape, 1)[:2]
        layer = GLOBAL_LAYER if spec.layer is None else spec.layer
        return RawEntry(
            spec.role, self._dtypes[spec.role, spec.layer], len(spec.shape), layer, rows, columns, rows * columns,
            self._sections.tensor_offsets[index], len(payload), zlib.crc32(payload), bytes(20))


def seal(
    config: ModelConfig, payloads: Mapping[TensorKey, Payload], vocabulary: Vocabulary | None, metadata: JsonObject
) -> bytes:
    """The bytes of a valid file; `vocabulary` None means the byte tokenizer. Raises FormatError for a bad model."""
    tokenizer = b"" if vocabulary is None else encode_vocabulary(vocabulary)
    file = assemble(config, payloads, tokenizer, canonical.dumps(metadata) if metadata else b"")
    parse(file)
    return file


def assemble(
    config: ModelConfig, payloads: Mapping[TensorKey, Payload], tokenizer: bytes, metadata: bytes
) -> bytes:
    """The bytes of a file with these sections, laid out and sealed, but not checked."""
    draft = Draft(config, {key: payload.dtype for key, payload in payloads.items()}, tokenizer, metadata)
    for index, spec in enumerate(expected_tensors(config)):
        data, place = payloads[spec.role, spec.layer].data, draft.payload(index)
        if len(data) != len(place):
            name = tensor_name(spec.role, spec.layer)
            raise ToolError(ErrorCode.SHAPE_MISMATCH, f"{name} has {len(data)} bytes, expected {len(place)}.")
        place[:] = data
    return bytes(draft.seal())


def reseal(file: bytearray) -> None:
    """Writes the checksum of what `file` now holds into its header."""
    file[CHECKSUM_OFFSET : CHECKSUM_OFFSET + 4] = file_checksum(memoryview(file)).to_bytes(4, "little")


def encode_header(config: ModelConfig, sections: Sections, tokenizer_bytes: int, metadata_bytes: int) -> bytes:
    """The 108 bytes of the header, with a checksum that `reseal` replaces."""
    return HEADER.pack(*RawHeader(
        header_format.MAGIC, header_format.VERSION, HEADER_BYTES, config.family, config.quantization, _flags(config),
        config.vocab_size, config.hidden_size, config.n_layers, config.n_heads, config.n_kv_heads, config.head_dim,
        config.ffn_size, config.context_length, config.rotary_dim, config.rope_theta, config.norm_epsilon,
        NO_TOKEN if config.bos_id is None else config.bos_id, NO_TOKEN if config.eos_id is None else config.eos_id,
        len(sections.tensor_offsets), HEADER_BYTES, sections.tokenizer_offset, tokenizer_bytes,
        sections.metadata_offset, metadata_bytes, sections.payload_offset, sections.file_bytes, NOT_SEALED))


def encode_vocabulary(vocabulary: Vocabulary) -> bytes:
    """The `BPE1` section."""
    merges = list(vocabulary.merge_rules())
    parts = [SECTION_HEADER.pack(MAGIC, vocabulary.pre_tokenizer, len(vocabulary.tokens), len(merges))]
    for text, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True):
        if len(text) > TOKEN_CAP_BYTES:
            raise ToolError(
                ErrorCode.UNSUPPORTED_TOKENIZER, f"A token has {len(text):,} bytes ({text[:32]!r}...); the format "
                f"allows {TOKEN_CAP_BYTES:,}. Leave it out of the tokenizer.")
        parts.append(TOKEN_HEADER.pack(len(text), kind) + text)
    parts += [b"".join(token.to_bytes(4, "little") for token in merge) for merge in merges]
    return b"".join(parts)


def write_atomically(path: Path, data: bytes | bytearray) -> None:
    """`path` holds `data`, on disk; a reader and a crash see the old file or the new one, never a part."""
    try:
        _replace(path, data)
    except OSError as error:
        raise unwritable(path, error) from error


def make_folder(path: Path) -> None:
    """`path` is a folder. Raises ToolError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> ToolError:
    """What to raise where `path` cannot be written; not every library's error has the system's words apart."""
    words = getattr(error, "strerror", None) or error
    return ToolError(
        ErrorCode.UNWRITABLE_FILE, f"{path} cannot be written ({words}). Give a path in a folder that exists and has "
        "room.", {"file": str(path)})


def _replace(path: Path, data: bytes | bytearray) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _flags(config: ModelConfig) -> int:
    return (
        header_format.FLAG_TIED * config.tied_embeddings
        | header_format.FLAG_PARALLEL_RESIDUAL * config.parallel_residual
        | header_format.FLAG_INTERLEAVED_ROTARY * config.interleaved_rotary
        | header_format.FLAG_GELU_TANH * config.gelu_tanh)
