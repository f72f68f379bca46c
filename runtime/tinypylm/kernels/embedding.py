"""Rows of the embedding table, as f32."""

from __future__ import annotations

from tinypylm.config import DType
from tinypylm.kernels import half
from tinypylm.kernels.linear import BLOCK
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32


def embed(k: Kernel, out: Ptr, table: Ptr, scales: Ptr, token: i32, *, dtype: DType, cols: int) -> None:
    """out = table[token], dequantised

    out: f32[cols]. table: codes [vocab, cols]; scales: f16[vocab, cols / 32] (unused for f32).
    """
    if dtype is DType.F32:
        row = k.pointer(table.value + token * (4 * cols))
        with k.range(cols) as i:
            out.f32[i] = row.f32[i]
        return
    row = k.pointer(table.value + token * (cols if dtype is DType.Q8_0 else cols // 2))
    row_scales = k.pointer(scales.value + token * (2 * cols // BLOCK))
    with k.range(cols // BLOCK) as b:
        scale = k.let(half.scale(row_scales.u16[b]))
        with k.range(BLOCK) as i:
            at = k.let((b << 5) + i)
            out.f32[at] = f32.of(_code(row, at, dtype)) * scale


def _code(row: Ptr, at: i32, dtype: DType) -> i32:
    if dtype is DType.Q8_0:
        return row.i8[at]
    return _nibble(row.u8[at >> 1], at)


def _nibble(pair: i32, at: i32) -> i32:
    """The signed 4-bit code of element `at`: the low nibble is the even element's."""
    shifted = i32.apply("i32.shl", pair, 28 - ((at & 1) << 2))
    return shifted >> 28


def copy(k: Kernel, out: Ptr, x: Ptr, first: i32, end: i32) -> None:
    """out[i] = x[i] for first <= i < end. out, x: f32[end]."""
    with k.range(end, start=first) as i:
        out.f32[i] = x.f32[i]
