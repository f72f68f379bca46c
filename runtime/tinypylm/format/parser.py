"""`parse` walks a file from front to back and hands out a model only when every rule holds."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tinypylm.canonical import JsonObject
from tinypylm.config import ModelConfig, Role
from tinypylm.format.codes import FormatCode, refusal
from tinypylm.format.extent import MODEL_BYTE_BUDGET, check_padding
from tinypylm.format.header import CHECKSUM_OFFSET, HEADER_BYTES, Header, parse_header
from tinypylm.format.metadata import parse_metadata
from tinypylm.format.tensors import Tensor, parse_tensors
from tinypylm.format.values import check_values
from tinypylm.format.vocabulary import Vocabulary, byte_vocabulary, parse_vocabulary
from tinypylm.source import FileBytes, Source, pieces, source_of


@dataclass(frozen=True, slots=True)
class Model:
    """What a sealed file says. Weights stay where they are: a tensor names its bytes in the file."""

    header: Header
    config: ModelConfig
    tensors: tuple[Tensor, ...]
    tokenizer: Vocabulary
    metadata: JsonObject
    file_bytes: int

    def tensor(self, role: Role, layer: int | None = None) -> Tensor:
        """The one tensor with this role; `layer` is None for a global tensor. Raises KeyError where there is none."""
        for tensor in self.tensors:
            if (tensor.role, tensor.layer) == (role, layer):
                return tensor
        raise KeyError(role, layer)


def parse(data: FileBytes) -> Model:
    """The model in `data`, which is one whole file. Raises FormatError, and nothing else, on any other bytes.

    Nothing is copied but the tokenizer and the metadata; `data` must not change while the model is in use.
    """
    view = source_of(data)
    header = parse_header(view[:HEADER_BYTES])
    _check_file(view, header)
    tensors = parse_tensors(view, header)
    vocabulary = _vocabulary(view, header)
    metadata = parse_metadata(view[header.metadata_offset : header.metadata_end])
    for tensor in tensors:
        _check_tensor_checksum(view, tensor)
        check_values(view, tensor)
    return Model(header, header.config, tensors, vocabulary, metadata, header.file_bytes)


def file_checksum(view: Source) -> int:
    """CRC-32 of the file with the checksum field as zero; never 0 (stored as 0xFFFFFFFF)."""
    crc = zlib.crc32(view[:CHECKSUM_OFFSET])
    crc = zlib.crc32(bytes(4), crc)
    return _crc32(view, CHECKSUM_OFFSET + 4, len(view), crc) or 0xFFFF_FFFF


def _crc32(view: Source, start: int, end: int, crc: int = 0) -> int:
    for piece in pieces(view, start, end):
        crc = zlib.crc32(piece, crc)
    return crc


def _check_file(view: Source, header: Header) -> None:
    if len(view) != header.file_bytes:
        raise refusal(FormatCode.FILE_SIZE_MISMATCH, "file", f"{len(view)} bytes",
                      f"{header.file_bytes}, which the header states (at most {MODEL_BYTE_BUDGET})")
    checksum = file_checksum(view)
    if checksum != header.checksum:
        raise refusal(FormatCode.CHECKSUM_MISMATCH, "CRC-32 of the file", f"0x{checksum:08x}",
                      f"0x{header.checksum:08x}, which the header states")
    check_padding(view, header.tensor_table_end, header.tokenizer_offset)
    check_padding(view, header.tokenizer_end, header.metadata_offset)


def _vocabulary(view: Source, header: Header) -> Vocabulary:
    if header.tokenizer_bytes == 0:
        return byte_vocabulary(header.config.vocab_size)
    return parse_vocabulary(view[header.tokenizer_offset : header.tokenizer_end], header.config.vocab_size)


def _check_tensor_checksum(view: Source, tensor: Tensor) -> None:
    checksum = _crc32(view, tensor.offset, tensor.offset + tensor.payload_bytes)
    if checksum != tensor.checksum:
        raise refusal(FormatCode.TENSOR_CHECKSUM_MISMATCH, f"CRC-32 of {tensor.name}", f"0x{checksum:08x}",
                      f"0x{tensor.checksum:08x}, which its entry states")
