"""One package for every way to break a rule: (what is wrong, the code it gets, the bytes). Offsets are written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tests.adapters.packages import model_file
from tests.format.micro_model import CONFIG, f32, micro, u16, u32, u64
from tests.format.micro_model import edited as edited_model
from tinypylm.adapters.codes import AdapterCode as Code
from tinypylm.adapters.entries import PackageFormat
from tinypylm.adapters.package import STACK_BYTE_BUDGET
from tinypylm.config import Role
from tinypylm_tools.adapters.writer import Change, Dense, LowRank, Sparse, assemble, facts, reseal

Broken = tuple[str, Code, bytes]

BASE = model_file(micro(replace(CONFIG, hidden_size=4, head_dim=4, rotary_dim=4, ffn_size=6, context_length=64)))
ENTRIES, ENTRY = 112, 24
ROLE, RANK, LAYER, ROWS, COLUMNS, COUNT = 0, 2, 4, 8, 12, 16
DIMENSIONS = {"vocab_size": 60, "hidden_size": 64, "n_layers": 68, "n_heads": 72, "n_kv_heads": 76, "head_dim": 80,
              "ffn_size": 84}


def dense(role: Role = Role.WQ, layer: int | None = 0, shape: tuple[int, ...] = (4, 4)) -> Dense:
    return Dense(role, layer, np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape) / 64)


def sparse(role: Role = Role.WQ, layer: int | None = 0) -> Sparse:
    return Sparse(role, layer, (4, 4), np.array([0, 3, 9]), np.array([0.5, -0.25, 1], np.float32))


def low_rank(role: Role = Role.WQ, layer: int | None = 0, rank: int = 2, shape: tuple[int, int] = (4, 4)) -> LowRank:
    return LowRank(role, layer, np.full((rank, shape[1]), 0.5, np.float32), np.full((shape[0], rank), 0.25, np.float32))


def package(*changes: Change, keep_ppm: int | None = None, scale: float = 1.0) -> bytes:
    """A sealed package for BASE; nothing is checked."""
    kind = {Dense: PackageFormat.ADP1, Sparse: PackageFormat.ASP1, LowRank: PackageFormat.ALR1}[type(changes[0])]
    keep = 1_000_000 * (kind is PackageFormat.ASP1) if keep_ppm is None else keep_ppm
    return assemble(facts(BASE), kind, changes, scale, keep)


def edited(data: bytes, *edits: tuple[int, bytes]) -> bytes:
    """`data` with bytes replaced, its size and its checksum right again."""
    changed = bytearray(data)
    for offset, piece in edits:
        changed[offset : offset + len(piece)] = piece
    if len(changed) >= ENTRIES:
        if not any(offset == 8 for offset, _ in edits):
            changed[8:12] = u32(len(changed))
        reseal(changed)
    return bytes(changed)


def broken_packages() -> list[Broken]:
    return [*_headers(), *_entries(), *_payloads(), *_values(), *_other_bases(), *_results()]


def _headers() -> Iterator[Broken]:
    data = package(dense())
    yield "no bytes at all", Code.TRUNCATED, b""
    yield "one byte less than a header", Code.TRUNCATED, data[:111]
    yield "another magic", Code.MAGIC, edited(data, (0, b"ADP2"))
    yield "a model", Code.MAGIC, BASE.data
    yield "a later version", Code.VERSION, edited(data, (4, u16(2)))
    yield "a longer header", Code.HEADER_SIZE, edited(data, (6, u16(128)))
    yield "a package over the budget", Code.TOO_LARGE, edited(data, (8, u32(STACK_BYTE_BUDGET + 1)))
    yield "a byte missing", Code.SIZE_MISMATCH, data[:-1]
    yield "a byte too many", Code.SIZE_MISMATCH, data + b"\0"
    yield "a checksum of zero", Code.ZERO_CHECKSUM, data[:108] + bytes(4) + data[112:]
    yield "a flipped bit", Code.CHECKSUM_MISMATCH, data[:-1] + bytes([data[-1] ^ 1])
    yield "a reserved byte", Code.RESERVED_NOT_ZERO, edited(data, (107, b"\1"))
    for value in (0.0, -0.0, float("inf"), float("nan")):
        yield f"scale {value}", Code.SCALE_INVALID, edited(data, (88, f32(value)))
    yield "a keep rate in ADP1", Code.KEEP_RATE_INVALID, edited(data, (92, u32(1)))
    yield "a keep rate in ALR1", Code.KEEP_RATE_INVALID, edited(package(low_rank()), (92, u32(1_000_000)))
    yield "no keep rate in ASP1", Code.KEEP_RATE_INVALID, package(sparse(), keep_ppm=0)
    yield "a keep rate over a million", Code.KEEP_RATE_INVALID, package(sparse(), keep_ppm=1_000_001)
    yield "no entries", Code.NO_ENTRIES, edited(data[:112], (12, u32(0)))


def _entries() -> Iterator[Broken]:
    data, two = package(dense()), package(dense(), dense(Role.WK))
    yield "role 9", Code.UNKNOWN_ROLE, edited(data, (ENTRIES + ROLE, u16(9)))
    yield "two entries in the wrong order", Code.ENTRY_ORDER, package(dense(Role.WK), dense())
    yield "an entry twice", Code.ENTRY_ORDER, package(dense(), dense())
    yield "a global tensor behind a layer", Code.ENTRY_ORDER, edited(
        two, (ENTRIES + ENTRY + LAYER, u32(0xFFFF_FFFF)))
    yield "no rows", Code.SHAPE_INVALID, edited(data, (ENTRIES + ROWS, u32(0)))
    yield "2 to the 64 elements", Code.SHAPE_INVALID, edited(
        data, (ENTRIES + ROWS, u32(0xFFFF_FFFF) + u32(0xFFFF_FFFF)))
    yield "a rank in ADP1", Code.RANK_INVALID, edited(data, (ENTRIES + RANK, u16(1)))
    yield "no rank in ALR1", Code.RANK_INVALID, edited(package(low_rank()), (ENTRIES + RANK, u16(0)))
    yield "a rank over the smaller side", Code.RANK_TOO_LARGE, package(low_rank(Role.W_UP, rank=5, shape=(6, 4)))
    yield "a value more than elements", Code.VALUE_COUNT, edited(data, (ENTRIES + COUNT, u64(17)))
    yield "factors of another rank", Code.VALUE_COUNT, edited(package(low_rank()), (ENTRIES + RANK, u16(1)))
    yield "no pairs", Code.VALUE_COUNT, edited(package(sparse())[: ENTRIES + ENTRY], (ENTRIES + COUNT, u64(0)))
    yield "2 to the 64 less 1 pairs", Code.VALUE_COUNT, edited(package(sparse()), (ENTRIES + COUNT, u64(2**64 - 1)))
    yield "more pairs than are kept", Code.KEEP_RATE_EXCEEDED, package(sparse(), keep_ppm=125_000)


def _payloads() -> Iterator[Broken]:
    for name, change in (("ADP1", dense()), ("ASP1", sparse()), ("ALR1", low_rank())):
        data = package(change)
        yield f"an {name} cut off in a value", Code.PAYLOAD_TRUNCATED, edited(data[:-1])
        yield f"an {name} with four bytes more", Code.TRAILING_BYTES, edited(data + bytes(4))
    yield "a table past the end", Code.PAYLOAD_TRUNCATED, edited(package(dense()), (12, u32(0xFFFF_FFFF)))


def _values() -> Iterator[Broken]:
    for name, change in (("ADP1", dense()), ("ASP1", sparse()), ("ALR1", low_rank())):
        data = package(change)
        for value in (float("nan"), float("inf"), float("-inf")):
            yield f"the last value of an {name} is {value}", Code.NOT_FINITE, edited(data, (len(data) - 4, f32(value)))
    pairs, payload = package(sparse()), ENTRIES + ENTRY
    yield "a delta of zero", Code.ZERO_DELTA, edited(pairs, (payload + 8, f32(0.0)))
    yield "a delta of minus zero", Code.ZERO_DELTA, edited(pairs, (payload + 12 + 8, f32(-0.0)))
    yield "an index past the tensor", Code.INDEX_OUT_OF_RANGE, edited(pairs, (payload + 24, u64(16)))
    yield "an index of 2 to the 32", Code.INDEX_OUT_OF_RANGE, edited(pairs, (payload + 24, u64(2**32)))
    yield "an index twice", Code.INDEX_ORDER, edited(pairs, (payload + 12, u64(0)))
    yield "indices out of order", Code.INDEX_ORDER, edited(pairs, (payload, u64(4)))


def _other_bases() -> Iterator[Broken]:
    data = package(dense())
    for name, offset in DIMENSIONS.items():
        yield f"another {name}", Code.DIMENSION_MISMATCH, edited(data, (offset, u32(12)))
    yield "a tensor less in the base", Code.TENSOR_COUNT_MISMATCH, edited(data, (56, u32(10)))
    yield "another layout", Code.LAYOUT_MISMATCH, edited(data, (16, u32(0)))
    yield "another tokenizer", Code.TOKENIZER_MISMATCH, edited(data, (20, u32(1)))
    yield "another base", Code.BASE_MISMATCH, edited(data, (24, bytes(32)))
    yield "a base of other weights", Code.BASE_MISMATCH, assemble(
        facts(model_file(edited_model(micro(BASE.model.config, metadata=b'{"name":"a"}')))), PackageFormat.ADP1,
        [dense()], 1.0, 0)
    yield "a layer past the last", Code.UNKNOWN_TENSOR, package(dense(layer=1))
    yield "a bias of a Llama", Code.UNKNOWN_TENSOR, package(dense(Role.BQ, shape=(4,)))
    yield "a layer's tensor as a global one", Code.UNKNOWN_TENSOR, package(dense(layer=None))
    yield "rows and columns exchanged", Code.SHAPE_MISMATCH, package(dense(Role.W_UP, shape=(4, 6)))
    yield "factors of a vector", Code.NOT_A_MATRIX, package(low_rank(Role.ATTN_NORM, rank=1, shape=(4, 1)))


def _results() -> Iterator[Broken]:
    huge = Dense(Role.WK, 0, np.full((4, 4), 3e38, np.float32))
    yield "a sum over the largest f32", Code.RESULT_OVERFLOW, package(dense(), huge, scale=2.0)


def stack_that_is_too_large() -> list[bytes]:
    """Packages of which each is valid and all together are over the budget: the last one gets the code."""
    data = package(dense(Role.TOK_EMBEDDINGS, None, (259, 4)))
    return [data] * (STACK_BYTE_BUDGET // len(data) + 1)
