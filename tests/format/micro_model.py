"""The smallest files that the format allows, and ways to break them. Offsets are written out, not computed."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from tinypylm.config import DType, Family, ModelConfig
from tinypylm_tools.fixtures import BYTE_CONFIG, payloads
from tinypylm_tools.slm_writer import assemble, reseal

CONFIG = replace(
    BYTE_CONFIG, hidden_size=2, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=2, rotary_dim=2, ffn_size=1,
    context_length=1)
WIDE = replace(CONFIG, hidden_size=32, n_heads=1, head_dim=32, rotary_dim=32, ffn_size=32)
NEOX = replace(
    CONFIG, family=Family.GPT_NEOX, parallel_residual=True, gelu_tanh=True, hidden_size=8, n_heads=2, n_kv_heads=2,
    head_dim=4, rotary_dim=2, tied_embeddings=False)

TABLE = 108
ENTRY = 64
CRC_IN_ENTRY = 40
OFFSET_IN_ENTRY = 24

SPECIALS = [(2, b"<bos>"), (2, b"<eos>"), (2, b"<pad>")]
THREE_TOKENS = [(0, b"th"), (0, b"he"), (0, b"the")]
THREE_MERGES = [(116, 104, 259), (104, 101, 260), (259, 101, 261)]
BYTES = [(1, bytes([value])) for value in range(256)]


def micro(config: ModelConfig = CONFIG, tokenizer: bytes = b"", metadata: bytes = b"") -> bytes:
    """A sealed file of `config`; nothing is checked, so that bad sections can be put in."""
    return assemble(config, payloads(config), tokenizer, metadata)


def micro_bpe(section: bytes) -> bytes:
    """A sealed file whose tokenizer section is `section`, of 262 tokens if it is valid."""
    return micro(replace(CONFIG, vocab_size=262), section)


def section(
    tokens: list[tuple[int, bytes]] | None = None, merges: list[tuple[int, int, int]] | None = None, kind: int = 0
) -> bytes:
    """A `BPE1` section, packed here and not by the writer."""
    tokens = [*BYTES, *SPECIALS, *THREE_TOKENS] if tokens is None else tokens
    merges = THREE_MERGES if merges is None else merges
    parts = [b"BPE1", struct.pack("<III", kind, len(tokens), len(merges))]
    parts += [struct.pack("<HB", len(text), token_kind) + text for token_kind, text in tokens]
    parts += [struct.pack("<III", *merge) for merge in merges]
    return b"".join(parts)


def quantised(dtype: DType) -> bytes:
    return micro(replace(WIDE, quantization=dtype))


def edited(file: bytes, *edits: tuple[int, bytes]) -> bytes:
    """`file` with bytes replaced, and a whole-file checksum that fits again."""
    changed = bytearray(file)
    for offset, data in edits:
        changed[offset : offset + len(data)] = data
    if len(changed) >= TABLE:
        reseal(changed)
    return bytes(changed)


def with_size(file: bytes) -> bytes:
    """`file`, whose header now states its real size."""
    return edited(file, (100, u32(len(file))))


def with_payload(file: bytes, tensor: int, at: int, data: bytes) -> bytes:
    """`file` with bytes of a payload replaced, checksums right; a negative `at` counts from the payload's end."""
    entry = TABLE + ENTRY * tensor
    offset, size = struct.unpack_from("<QQ", file, entry + OFFSET_IN_ENTRY)
    payload = bytearray(file[offset : offset + size])
    start = at % size
    payload[start : start + len(data)] = data
    return edited(file, (offset, bytes(payload)), (entry + CRC_IN_ENTRY, u32(zlib.crc32(payload))))


def u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def f32(value: float) -> bytes:
    return struct.pack("<f", value)
