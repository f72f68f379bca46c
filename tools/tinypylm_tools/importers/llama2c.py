"""Checkpoints of llama2.c: `.bin` of version 0 (f32), 1 (f32) and 2 (8-bit codes in groups), read by place.

    version 0: seven i32, then tables for all layers at once; the output follows two tables of rotary angles
    version 1: "ak42", version, seven i32, u8 shared, zeros up to byte 256; norms first, then matrix after matrix
    version 2: as 1, with an i32 group size behind `shared`; norms are f32, a matrix is i8[n], then f32[n / group size]

The angles are those of the base 10,000, and run.c computes them anew, so they are not read. Pairs are neighbours.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from tinypylm.config import Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.source import UNPACKED, ReadRows, Rows, Source, check_vocab_size, digest_names, f32
from tinypylm_tools.importers.tokenizer_file import read_tokenizer
from tinypylm_tools.importers.waiver import Waivers
from tinypylm_tools.json_fields import missing
from tinypylm_tools.quantise import F32
from tinypylm_tools.slm_writer import TensorKey

_MAGIC = 0x616B3432
_HEADER_BYTES = 256
_OLD_HEADER_BYTES = 28
_NORMS = (Role.ATTN_NORM, Role.MLP_NORM, Role.FINAL_NORM)
_MATRICES = (Role.WQ, Role.WK, Role.WV, Role.WO, Role.W_GATE, Role.W_DOWN, Role.W_UP)
_OLD_ORDER = (
    Role.TOK_EMBEDDINGS, Role.ATTN_NORM, Role.WQ, Role.WK, Role.WV, Role.WO, Role.MLP_NORM, Role.W_GATE, Role.W_DOWN,
    Role.W_UP, Role.FINAL_NORM)
BOS_ID, EOS_ID = 1, 2


@dataclass(frozen=True, slots=True)
class Header:
    """`group_size` is 0 where weights are f32."""

    version: int
    config: ModelConfig
    group_size: int
    start: int


def open_llama2c(path: Path, tokenizer: Path | None, waivers: Waivers) -> Source:
    """The model in `path`; its tokenizer is tokenizer.bin beside it unless another is given. Raises ToolError."""
    header = read_header(path)
    tokenizer = tokenizer or path.with_name("tokenizer.bin")
    vocabulary, bos_id = read_tokenizer(tokenizer, header.config, waivers)
    kind = f"8-bit codes in groups of {header.group_size}" if header.group_size else "f32"
    return Source(
        f"a llama2.c file of version {header.version} in {kind}", replace(header.config, bos_id=bos_id), vocabulary,
        digest_names(path, tokenizer), lambda: _open_weights(path, header))


def read_header(path: Path) -> Header:
    """What the first bytes say. Raises ToolError where the file has not exactly the size that follows from them."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES).ljust(_HEADER_BYTES, b"\0")
    except FileNotFoundError:
        raise missing(path, "Name a .bin file of llama2.c.") from None
    except OSError as error:
        raise _unusable(path, f"it cannot be read ({error.strerror})") from error
    header = _header(path, start)
    _check_size(path, header)
    return header


def _header(path: Path, start: bytes) -> Header:
    magic, version = struct.unpack_from("<Ii", start)
    if magic != _MAGIC:
        old = struct.unpack_from("<7i", start)
        return Header(0, _config(path, old, shared=old[5] > 0), 0, _OLD_HEADER_BYTES)
    *numbers, shared, group_size = struct.unpack_from("<7iBi", start, 8)
    if version not in (1, 2) or (version == 2 and group_size < 1):
        raise _unusable(path, f"its version is {version} and its group size {group_size}; expected version 0 or 1, or "
                        "version 2 with groups of 1 or more")
    config = _config(path, numbers, shared=bool(shared))
    return Header(version, config, group_size if version == 2 else 0, _HEADER_BYTES)


def _config(path: Path, numbers: Sequence[int], *, shared: bool) -> ModelConfig:
    """The seven numbers; version 0 says by a negative vocabulary that the output is not shared."""
    dim, ffn_size, layers, heads, kv_heads, vocab_size, length = numbers
    if min(dim, ffn_size, layers, heads, kv_heads, abs(vocab_size), length) < 1 or dim % heads:
        raise _unusable(path, f"its header holds {list(numbers)}; expected dim, hidden_dim, n_layers, n_heads, "
                        "n_kv_heads, vocab_size, seq_len above 0, dim a multiple of n_heads")
    return ModelConfig(
        Family.LLAMA, UNPACKED, tied_embeddings=shared, parallel_residual=False, interleaved_rotary=True,
        gelu_tanh=False, vocab_size=check_vocab_size(abs(vocab_size), path.name), hidden_size=dim, n_layers=layers,
        n_heads=heads, n_kv_heads=kv_heads, head_dim=dim // heads, ffn_size=ffn_size, context_length=length,
        rotary_dim=dim // heads, rope_theta=10_000.0, norm_epsilon=f32(1e-5), bos_id=BOS_ID, eos_id=EOS_ID)


def _check_size(path: Path, header: Header) -> None:
    """Before any list of tensors is made, which a damaged number of layers could make too long."""
    one_layer = expected_tensors(replace(header.config, n_layers=1))
    repeats = {spec.role: 1 if spec.layer is None else header.config.n_layers for spec in one_layer}
    expected = header.start + _angle_bytes(header) + sum(
        repeats[spec.role] * _stored_bytes(spec, header.group_size) for spec in one_layer)
    found = path.stat().st_size
    if found != expected:
        raise _unusable(path, f"it has {found:,} bytes; its header, {header.config.n_layers} layers of "
                        f"{header.config.hidden_size}, implies {expected:,}")


def _stored_bytes(spec: TensorSpec, group_size: int) -> int:
    elements = prod(spec.shape)
    return elements + 4 * -(-elements // group_size) if group_size and spec.role not in _NORMS else 4 * elements


def _angle_bytes(header: Header) -> int:
    """Version 0 has cosines and sines, f32[seq_len, head_dim / 2] each."""
    return 0 if header.version else 4 * header.config.context_length * header.config.head_dim


def _places(header: Header) -> dict[TensorKey, int]:
    """Where each tensor starts."""
    specs = expected_tensors(header.config)
    order = (*_NORMS, Role.TOK_EMBEDDINGS, *_MATRICES) if header.version else _OLD_ORDER
    places: dict[TensorKey, int] = {}
    at = header.start
    for role in (*order, Role.OUTPUT):
        at += _angle_bytes(header) if role is Role.OUTPUT else 0
        for spec in (spec for spec in specs if spec.role is role):
            places[spec.role, spec.layer] = at
            at += _stored_bytes(spec, header.group_size)
    return places


def _open_weights(path: Path, header: Header) -> ReadRows:
    places = _places(header)

    def read(spec: TensorSpec, rows: Rows) -> F32:
        at = places[spec.role, spec.layer]
        if header.group_size and spec.role not in _NORMS:
            return _grouped(path, spec, at, rows, header.group_size)
        return np.memmap(path, "<f4", "r", at, spec.shape)[rows].astype(np.float32)

    return read


def _grouped(path: Path, spec: TensorSpec, at: int, rows: Rows, group_size: int) -> F32:
    """code * scale of the group that an element belongs to; groups run on over the ends of rows."""
    elements, columns = prod(spec.shape), spec.shape[1]
    codes = np.memmap(path, np.int8, "r", at, spec.shape)[rows]
    scales = np.memmap(path, "<f4", "r", at + elements, (-(-elements // group_size),))
    groups = (rows[:, None] * columns + np.arange(columns)) // group_size
    weights: F32 = codes.astype(np.float32) * scales[groups]
    return weights


def _unusable(path: Path, what: str) -> ToolError:
    return ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"{path} is not a llama2.c file that can be packed: {what}. Export it again "
        "with llama2.c's export.py, version 0, 1 or 2.", {"file": path.name})
