"""One file for every way to break a rule: (what is wrong, the code it gets, the bytes)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.format.micro_model import (
    BYTES,
    ENTRY,
    NEOX,
    SPECIALS,
    TABLE,
    THREE_MERGES,
    THREE_TOKENS,
    WIDE,
    edited,
    f32,
    micro,
    micro_bpe,
    quantised,
    section,
    u16,
    u32,
    u64,
    with_payload,
    with_size,
)
from tinypylm.config import DType
from tinypylm.format import FormatCode as Code

Broken = tuple[str, Code, bytes]

# The micro model's sections: 11 entries end at 812, nothing up to the payloads at 832.
PAYLOADS = 832
DIMENSION_OFFSETS = {
    "vocab_size": 20, "hidden_size": 24, "n_layers": 28, "n_heads": 32, "n_kv_heads": 36, "head_dim": 40,
    "ffn_size": 44, "context_length": 48, "rotary_dim": 52,
}


def broken_files() -> list[Broken]:
    return [*_headers(), *_dimensions(), *_sections(), *_whole_files(), *_entries(), *_payloads(), *_vocabularies(),
            *_metadata()]


def _headers() -> Iterator[Broken]:
    file, neox = micro(), micro(replace(NEOX, tied_embeddings=True))
    yield "no bytes at all", Code.TRUNCATED_HEADER, b""
    yield "one byte less than a header", Code.TRUNCATED_HEADER, file[:107]
    yield "another magic", Code.BAD_MAGIC, edited(file, (0, b"SLM2"))
    yield "a later version", Code.UNSUPPORTED_VERSION, edited(file, (4, u16(2)))
    yield "a longer header", Code.BAD_HEADER_SIZE, edited(file, (6, u16(112)))
    yield "family 0", Code.UNKNOWN_FAMILY, edited(file, (8, u32(0)))
    yield "family 3", Code.UNKNOWN_FAMILY, edited(file, (8, u32(3)))
    yield "quantization 3", Code.UNKNOWN_QUANTIZATION, edited(file, (12, u32(3)))
    yield "flag bit 4", Code.UNKNOWN_FLAGS, edited(file, (16, u32(0x11)))
    yield "flag bit 31", Code.UNKNOWN_FLAGS, edited(file, (16, u32(1 << 31 | 1)))
    yield "a Llama with parallel residual", Code.FLAG_NOT_FOR_FAMILY, edited(file, (16, u32(3)))
    yield "a Llama with GELU", Code.FLAG_NOT_FOR_FAMILY, edited(file, (16, u32(9)))
    yield "an odd head_dim", Code.HEAD_DIM_ODD, edited(file, (40, u32(3)))
    yield "a hidden_size that is not heads times head_dim", Code.HIDDEN_SIZE_MISMATCH, edited(file, (24, u32(4)))
    yield "kv heads that do not divide heads", Code.KV_HEADS_MISMATCH, edited(file, (36, u32(2)))
    yield "grouped heads in NeoX", Code.KV_HEADS_MISMATCH, edited(neox, (36, u32(1)))
    yield "partial rotation in a Llama", Code.ROTARY_DIM_INVALID, edited(file, (52, u32(1)))
    yield "an odd rotary_dim in NeoX", Code.ROTARY_DIM_INVALID, edited(neox, (52, u32(3)))
    yield "a rotary_dim over head_dim in NeoX", Code.ROTARY_DIM_INVALID, edited(neox, (52, u32(6)))
    for value in (0.0, -1.0, float("nan"), float("inf")):
        yield f"rope_theta {value}", Code.ROPE_THETA_INVALID, edited(file, (56, f32(value)))
        yield f"norm_epsilon {value}", Code.NORM_EPSILON_INVALID, edited(file, (60, f32(value)))
    yield "bos past the vocabulary", Code.BOS_OUT_OF_RANGE, edited(file, (64, u32(259)))
    yield "eos past the vocabulary", Code.EOS_OUT_OF_RANGE, edited(file, (68, u32(0xFFFF_FFFE)))
    yield "258 tokens for the byte tokenizer", Code.BYTE_VOCABULARY_TOO_SMALL, edited(file, (20, u32(258)))
    yield "a bos that is a byte", Code.BYTE_SPECIALS_MISMATCH, edited(file, (64, u32(3)))
    yield "an eos that is pad", Code.BYTE_SPECIALS_MISMATCH, edited(file, (68, u32(258)))


def _dimensions() -> Iterator[Broken]:
    file = micro()
    for name, offset in DIMENSION_OFFSETS.items():
        yield f"{name} 0", Code.DIMENSION_ZERO, edited(file, (offset, u32(0)))
        yield f"{name} 2^32 - 1", Code.DIMENSION_OVER_CAP, edited(file, (offset, u32(0xFFFF_FFFF)))
    wide = micro(replace(WIDE, ffn_size=1, n_layers=8, quantization=DType.Q4_0))
    yield "a context of 131,072 tokens in 8 layers", Code.MEMORY_OVER_BUDGET, edited(wide, (48, u32(131_072)))


def _sections() -> Iterator[Broken]:
    file = micro()
    yield "a tensor more than there is", Code.TENSOR_COUNT_MISMATCH, edited(file, (72, u32(12)))
    yield "a table elsewhere", Code.TABLE_OFFSET_MISMATCH, edited(file, (76, u32(172)))
    yield "a tokenizer section elsewhere", Code.TOKENIZER_OFFSET_MISMATCH, edited(file, (80, u32(896)))
    yield "a tokenizer section of 4 GB", Code.EXTENT_OUT_OF_FILE, edited(file, (84, u32(0xFFFF_FFFF)))
    yield "a metadata section elsewhere", Code.METADATA_OFFSET_MISMATCH, edited(file, (88, u32(896)))
    yield "metadata over 64 KiB", Code.METADATA_TOO_LARGE, edited(file, (92, u32(65_537)))
    yield "metadata past the end", Code.EXTENT_OUT_OF_FILE, edited(file, (92, u32(65_536)))
    yield "payloads elsewhere", Code.PAYLOAD_OFFSET_MISMATCH, edited(file, (96, u32(896)))
    yield "a file over the budget", Code.FILE_TOO_LARGE, edited(file, (100, u32(33_554_433)))
    yield "a table past the end", Code.EXTENT_OUT_OF_FILE, edited(file, (100, u32(811)))
    yield "a checksum of zero", Code.ZERO_CHECKSUM, file[:104] + bytes(4) + file[108:]


def _whole_files() -> Iterator[Broken]:
    file, bpe = micro(), micro_bpe(section())
    yield "a byte missing", Code.FILE_SIZE_MISMATCH, file[:-1]
    yield "a byte too many", Code.FILE_SIZE_MISMATCH, file + b"\0"
    yield "an altered last byte", Code.CHECKSUM_MISMATCH, file[:-1] + bytes([file[-1] ^ 1])
    yield "something after the table", Code.PADDING_NOT_ZERO, edited(file, (PAYLOADS - 1, b"\1"))
    tokenizer_end = PAYLOADS + len(section())
    yield "something after the tokenizer", Code.PADDING_NOT_ZERO, edited(bpe, (tokenizer_end, b"\1"))
    described = micro(metadata=b'{"name":"x"}')
    yield "something after the metadata", Code.PADDING_NOT_ZERO, edited(described, (PAYLOADS + 12, b"\1"))
    yield "something after a payload", Code.PADDING_NOT_ZERO, edited(file, (PAYLOADS + 259 * 8, b"\1"))
    yield "64 bytes behind the last payload", Code.TRAILING_BYTES, with_size(file + bytes(64))
    yield "a last payload cut off", Code.EXTENT_OUT_OF_FILE, with_size(file[:-4])


def _entries() -> Iterator[Broken]:
    file = micro()
    first, second = file[TABLE : TABLE + ENTRY], file[TABLE + ENTRY : TABLE + 2 * ENTRY]
    third = TABLE + 2 * ENTRY
    yield "a role of no family", Code.UNKNOWN_ROLE, edited(file, (TABLE, u16(5)))
    yield "dtype 3", Code.UNKNOWN_DTYPE, edited(file, (TABLE + 2, b"\3"))
    yield "an output beside tied embeddings", Code.UNEXPECTED_TENSOR, edited(file, (TABLE, u16(1)))
    yield "a bias in a Llama", Code.UNEXPECTED_TENSOR, edited(file, (TABLE + ENTRY, u16(3)))
    yield "a layer past the last", Code.UNEXPECTED_TENSOR, edited(file, (third + 4, u32(1)))
    yield "two entries in the wrong order", Code.TENSOR_ORDER, edited(file, (TABLE, second + first))
    yield "an entry twice", Code.TENSOR_ORDER, edited(file, (TABLE + ENTRY, first))
    yield "a matrix of rank 1", Code.RANK_MISMATCH, edited(file, (TABLE + 3, b"\1"))
    yield "a vector of rank 2", Code.RANK_MISMATCH, edited(file, (TABLE + ENTRY + 3, b"\2"))
    yield "a row too many", Code.SHAPE_MISMATCH, edited(file, (TABLE + 8, u32(260)))
    yield "rows and columns swapped", Code.SHAPE_MISMATCH, edited(file, (TABLE + 8, u32(2) + u32(259)))
    yield "a vector with two columns", Code.SHAPE_MISMATCH, edited(file, (TABLE + ENTRY + 12, u32(2)))
    yield "q8_0 rows of 2 elements", Code.DTYPE_NOT_ALLOWED, edited(file, (TABLE + 2, b"\1"))
    norm = edited(quantised(DType.Q4_0), (TABLE + ENTRY + 2, b"\2"))
    yield "a quantised norm", Code.DTYPE_NOT_ALLOWED, norm
    yield "2^64 - 1 elements", Code.ELEMENT_COUNT_MISMATCH, edited(file, (TABLE + 16, u64(2**64 - 1)))
    yield "a payload of 2^64 - 1 bytes", Code.PAYLOAD_SIZE_MISMATCH, edited(file, (TABLE + 32, u64(2**64 - 1)))
    yield "a payload 4 bytes off", Code.MISALIGNED_PAYLOAD, edited(file, (TABLE + 24, u64(PAYLOADS + 4)))
    yield "overlapping payloads", Code.OVERLAPPING_PAYLOAD, edited(file, (TABLE + ENTRY + 24, u64(PAYLOADS)))
    yield "a payload in the header", Code.OVERLAPPING_PAYLOAD, edited(file, (TABLE + 24, u64(0)))
    yield "a payload at 2^64 - 64", Code.PAYLOAD_GAP, edited(file, (TABLE + 24, u64(2**64 - 64)))
    for at in (44, 63):
        yield f"reserved byte {at} set", Code.RESERVED_NOT_ZERO, edited(file, (TABLE + at, b"\1"))


def _payloads() -> Iterator[Broken]:
    file = micro()
    yield "another CRC in the entry", Code.TENSOR_CHECKSUM_MISMATCH, edited(file, (TABLE + 40, u32(1)))
    changed = edited(file, (PAYLOADS, f32(0.25)))
    yield "a payload that does not fit its CRC", Code.TENSOR_CHECKSUM_MISMATCH, changed
    for value in (float("nan"), float("inf"), float("-inf")):
        yield f"the weight {value}", Code.NON_FINITE_VALUE, with_payload(file, 0, 8, f32(value))
        yield f"the last weight {value}", Code.NON_FINITE_VALUE, with_payload(file, 0, -4, f32(value))
    for dtype, bits, code in (
        (DType.Q8_0, 0x7C00, Code.NON_FINITE_SCALE), (DType.Q4_0, 0x7E01, Code.NON_FINITE_SCALE),
        (DType.Q4_0, 0xFC00, Code.NON_FINITE_SCALE), (DType.Q8_0, 0x8000, Code.NEGATIVE_SCALE),
        (DType.Q4_0, 0xBC00, Code.NEGATIVE_SCALE),
    ):
        yield f"the {dtype.label} scale 0x{bits:04x}", code, with_payload(quantised(dtype), 0, -2, u16(bits))


def _vocabularies() -> Iterator[Broken]:
    whole = section()
    tokens = [*BYTES, *SPECIALS, *THREE_TOKENS]
    yield "a tokenizer section of 15 bytes", Code.TOKENIZER_TRUNCATED, micro_bpe(whole[:15])
    yield "a section that ends before a token", Code.TOKENIZER_TRUNCATED, micro_bpe(whole[:18])
    yield "a section that ends inside a token", Code.TOKENIZER_TRUNCATED, micro_bpe(whole[:19])
    yield "a section that ends inside a merge", Code.TOKENIZER_TRUNCATED, micro_bpe(whole[:-1])
    yield "a byte behind the merges", Code.TOKENIZER_TRAILING_BYTES, micro_bpe(whole + b"\0")
    yield "another tokenizer magic", Code.TOKENIZER_MAGIC, micro_bpe(b"BPE2" + whole[4:])
    yield "pre-tokenizer 4", Code.UNKNOWN_PRE_TOKENIZER, micro_bpe(section(kind=4))
    yield "a token too few", Code.TOKEN_COUNT_MISMATCH, micro_bpe(section(tokens[:-1], []))
    yield "2^32 - 1 merges", Code.TOO_MANY_MERGES, micro_bpe(whole[:12] + u32(0xFFFF_FFFF) + whole[16:])
    yield "a token of kind 3", Code.UNKNOWN_TOKEN_KIND, micro_bpe(section([*tokens[:-1], (3, b"the")]))
    yield "a token without bytes", Code.EMPTY_TOKEN, micro_bpe(section([*tokens[:-1], (0, b"")], []))
    yield "a token of 4097 bytes", Code.TOKEN_TOO_LONG, micro_bpe(section([*tokens[:-1], (0, b"t" * 4097)], []))
    yield "a byte token of two bytes", Code.BYTE_TOKEN_LENGTH, micro_bpe(section([*tokens[:-1], (1, b"ab")], []))
    yield "a token twice", Code.DUPLICATE_TOKEN, micro_bpe(section([*tokens[:-1], (0, b"he")], []))
    yield "no token for byte 0", Code.MISSING_BYTE_TOKEN, micro_bpe(section([(0, b"zero"), *tokens[1:]]))
    yield "a byte only as special token", Code.MISSING_BYTE_TOKEN, micro_bpe(section([(2, b"\0"), *tokens[1:]]))
    yield "a merge of token 262", Code.MERGE_OUT_OF_RANGE, micro_bpe(section(merges=[(116, 104, 262)]))
    yield "a merge of bos", Code.MERGE_OF_SPECIAL, micro_bpe(section(merges=[(256, 104, 259)]))
    yield "a merge into bos", Code.MERGE_OF_SPECIAL, micro_bpe(section(merges=[(116, 104, 256)]))
    yield "a merge into other bytes", Code.MERGE_MISMATCH, micro_bpe(section(merges=[(116, 104, 260)]))
    yield "a merge twice", Code.DUPLICATE_MERGE, micro_bpe(section(merges=[*THREE_MERGES, THREE_MERGES[1]]))


def _metadata() -> Iterator[Broken]:
    deep = b"[" * 17 + b"]" * 17
    texts = {
        "metadata with spaces": b'{"name": "x"}', "metadata with a BOM": b'\xef\xbb\xbf{"name":"x"}',
        "metadata that is not UTF-8": b'{"name":"\xff"}', "metadata with a key twice": b'{"name":"x","name":"x"}',
        "metadata out of order": b'{"name":"x","licence":"y"}', "metadata with a float": b'{"training":{"loss":1.5}}',
        "metadata with NaN": b'{"training":{"loss":NaN}}', "metadata with null": b'{"name":null}',
        "metadata that is cut off": b'{"name":"x"', "metadata 17 levels deep": deep,
        "an escape that is not needed": b'{"name":"\\u0041"}', "a lone surrogate": b'{"name":"\\ud800"}',
        "an integer of 2^53": b'{"training":{"seed":9007199254740992}}', "minus zero": b'{"training":{"seed":-0}}',
    }
    for what, text in texts.items():
        yield what, Code.METADATA_NOT_CANONICAL, micro(metadata=text)
    yield "metadata with an unknown key", Code.UNKNOWN_METADATA_KEY, micro(metadata=b'{"chat_template":"{{x}}"}')
    yield "metadata that is a list", Code.METADATA_VALUE, micro(metadata=b'["name"]')
    yield "a name that is a number", Code.METADATA_VALUE, micro(metadata=b'{"name":1}')
    yield "a digest that is too short", Code.METADATA_VALUE, micro(metadata=b'{"source_sha256":{"a":"00"}}')
    yield "a chat role that does not exist", Code.METADATA_VALUE, micro(metadata=b'{"chat":{"tool_prefix":"x"}}')
    yield "nested training figures", Code.METADATA_VALUE, micro(metadata=b'{"training":{"loss":[1]}}')
