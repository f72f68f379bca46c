"""Valid files with a few edits, sealed again, so that what lies behind the checksums is reached."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from hypothesis import strategies as st

from tests.format.micro_model import (
    BYTES,
    CONFIG,
    CRC_IN_ENTRY,
    ENTRY,
    NEOX,
    OFFSET_IN_ENTRY,
    SPECIALS,
    TABLE,
    THREE_MERGES,
    THREE_TOKENS,
    WIDE,
    micro,
    micro_bpe,
    section,
    u32,
)
from tinypylm.canonical import dumps
from tinypylm.config import DType
from tinypylm_tools.slm_writer import reseal

METADATA = b'{"chat":{"user_prefix":"Q: "},"name":"Micro","training":{"loss_ppm":3,"tied":true}}'
BASES = (
    micro(), micro(metadata=METADATA), micro(replace(CONFIG, n_layers=3)), micro(NEOX),
    micro_bpe(section()), micro_bpe(section(kind=3, merges=THREE_MERGES[:2])),
    *(micro(replace(WIDE, ffn_size=1, quantization=dtype)) for dtype in (DType.Q8_0, DType.Q4_0)),
)
HEADER_FIELDS = range(8, TABLE, 4)
ENTRY_FIELDS = [(0, 2), (2, 1), (3, 1), (4, 4), (8, 4), (12, 4), (16, 8), (24, 8), (32, 8), (40, 4), (44, 8)]
SECTIONS = [(80, 84), (88, 92)]
"""Header fields with offset and length of the tokenizer section, and of the metadata."""

NUMBERS = st.sampled_from([
    0, 1, 2, 3, 4, 63, 64, 65, 255, 256, 257, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 2**63, 2**64 - 1])
FLOATS = st.sampled_from([0x7F80_0000, 0xFF80_0000, 0x7FC0_0001, 0x7F7F_FFFF, 0x8000_0000, 0x7C00, 0x8000, 0xFC01])
WORDS = st.sampled_from([
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'"name":', b'"a"', b'"training":{', b"null", b"1.5", b"-0", b"17",
    b"true", b"\\u0041", b"\\ud800", "é".encode(), b"\xff", b"\0", b" ", b"9007199254740992"])


def reseal_deeply(file: bytearray) -> None:
    """Puts in the size and every checksum that `file`, as it is now, should have."""
    file[100:104] = u32(len(file))
    (count,) = struct.unpack_from("<I", file, 72)
    for entry in range(TABLE, min(TABLE + ENTRY * count, len(file) - ENTRY + 1), ENTRY):
        offset, size = struct.unpack_from("<QQ", file, entry + OFFSET_IN_ENTRY)
        crc = zlib.crc32(memoryview(file)[offset : offset + size])
        file[entry + CRC_IN_ENTRY : entry + CRC_IN_ENTRY + 4] = u32(crc)
    reseal(file)


def mutated_files() -> st.SearchStrategy[bytes]:
    """Files that are valid but for what their strategy gets wrong."""
    return edited_files() | files_with_a_vocabulary() | files_with_metadata()


@st.composite
def edited_files(draw: st.DrawFn) -> bytes:
    """A valid file with one to four edits; most are sealed again."""
    file = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(EDITS))(draw, file)
    if draw(st.integers(0, 9)):
        reseal_deeply(file)
    return bytes(file)


@st.composite
def files_with_a_vocabulary(draw: st.DrawFn) -> bytes:
    """One of 262 tokens, some of them and the merges drawn, and perhaps the end cut off."""
    tokens = [*BYTES, *SPECIALS, *THREE_TOKENS]
    for _ in range(draw(st.integers(0, 3))):
        tokens[draw(st.integers(0, 261))] = draw(st.tuples(st.sampled_from([0, 1, 2, 2, 3]), st.binary(max_size=3)))
    known = st.sampled_from([*THREE_MERGES, (116, 256, 259), (116, 104, 260), (32, 32, 262)])
    merges = draw(st.lists(known | st.tuples(*[st.integers(0, 262)] * 3), max_size=5))
    file = section(tokens, merges, draw(st.sampled_from([0, 1, 2, 3, 3, 4])))
    return micro_bpe(file[: len(file) - draw(st.sampled_from([0, 0, 0, 1, 12]))])


def files_with_metadata() -> st.SearchStrategy[bytes]:
    """Canonical objects of keys that are known, and a few that are not."""
    keys = st.sampled_from(["name", "training", "chat", "source_sha256", "user_prefix", "loss", "chat_template"])
    leaves = st.text(max_size=3) | st.integers(-3, 3) | st.booleans() | st.just("0" * 64)
    inner = leaves | st.dictionaries(keys, leaves, max_size=3) | st.lists(leaves, max_size=2)
    return st.dictionaries(keys, inner, max_size=4).map(dumps).map(lambda text: micro(metadata=text))


def _number(draw: st.DrawFn, file: bytearray, offset: int, size: int) -> None:
    """Another number in a field: one that borders on something, or a neighbour of the one there."""
    present = int.from_bytes(file[offset : offset + size], "little")
    near = st.sampled_from([1, -1, 2, 64, -64, 256]).map(lambda step: present + step)
    value = draw(NUMBERS | near | st.integers(0, 256**size - 1)) % 256**size
    file[offset : offset + size] = value.to_bytes(size, "little")


def _header_field(draw: st.DrawFn, file: bytearray) -> None:
    _number(draw, file, draw(st.sampled_from(HEADER_FIELDS)), 4)


def _entry_field(draw: st.DrawFn, file: bytearray) -> None:
    offset, size = draw(st.sampled_from(ENTRY_FIELDS))
    _number(draw, file, TABLE + ENTRY * draw(st.integers(0, 12)) + offset, size)


def _entries_exchanged(draw: st.DrawFn, file: bytearray) -> None:
    one, other = (TABLE + ENTRY * draw(st.integers(0, 10)) for _ in range(2))
    file[one : one + ENTRY], file[other : other + ENTRY] = file[other : other + ENTRY], file[one : one + ENTRY]


def _section_number(draw: st.DrawFn, file: bytearray) -> None:
    """A number of two or four bytes in tokenizer or metadata; there are no fields at fixed places."""
    start, length = _section(draw, file)
    _number(draw, file, start + draw(st.integers(0, length)), draw(st.sampled_from([1, 2, 4])))


def _section_words(draw: st.DrawFn, file: bytearray) -> None:
    start, length = _section(draw, file)
    words = b"".join(draw(st.lists(WORDS, min_size=1, max_size=4)))
    at = start + draw(st.integers(0, length))
    file[at : at + len(words)] = words


def _section(draw: st.DrawFn, file: bytearray) -> tuple[int, int]:
    """Where one of the two sections lies, as the header says, but inside the file."""
    numbers = (struct.unpack_from("<I", file, field)[0] for field in draw(st.sampled_from(SECTIONS)))
    start, length = (min(number, len(file)) for number in numbers)
    return start, min(length, len(file) - start)


def _weight(draw: st.DrawFn, file: bytearray) -> None:
    at = draw(st.integers(TABLE // 4, len(file) // 4 - 1)) * 4
    file[at : at + 4] = u32(draw(FLOATS))


def _bytes(draw: st.DrawFn, file: bytearray) -> None:
    at = draw(st.integers(TABLE, len(file) - 1))
    data = draw(st.binary(min_size=1, max_size=16))[: len(file) - at]
    file[at : at + len(data)] = data


def _length(draw: st.DrawFn, file: bytearray) -> None:
    """Bytes cut out, doubled, or put in; never so many that no header is left."""
    at = draw(st.integers(TABLE, len(file)))
    count = draw(st.sampled_from([1, 4, 12, 64, 256]))
    put = draw(st.sampled_from([b"", bytes(count), bytes(file[at - count : at])]))
    file[at : at + draw(st.sampled_from([0, count]))] = put


EDITS = (
    _header_field, _entry_field, _entries_exchanged, _section_number, _section_words, _weight, _bytes, _length)
