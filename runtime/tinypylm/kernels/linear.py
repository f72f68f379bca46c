"""Matrix products, straight from the file's bytes: out = W x for one token, and for a few at once.

W: [rows, cols], row-major; f32, or q8_0 / q4_0 codes with one f16 scale per 32 columns in a plane of their own.
Quantised products take the activations as i16 codes with one f32 scale per vector (`activation.quantise`), so that
products and their sums within a block are exact integers; blocks are added in f32, left to right, in four lanes.
A token's bits do not depend on how many tokens share the call, nor on how rows are split.
"""

from __future__ import annotations

from collections.abc import Callable

from tinypylm.config import DType
from tinypylm.kernels import byte_dots as by_bytes
from tinypylm.kernels import half
from tinypylm.kernels.lanes import lane_sums
from tinypylm.memory import CODE_BLOCK_BYTES
from tinypylm.wasm.kernel import Function, Kernel, Ptr
from tinypylm.wasm.values import Value, f32, i32
from tinypylm.wasm.vectors import f32x4, i16x8

BLOCK = 32

CODE_BYTES = {DType.F32: lambda n: 4 * n, DType.Q8_0: lambda n: n, DType.Q4_0: lambda n: n // 2}


def rows_at_once(dtype: DType, cols: int, byte_dots: bool = False) -> int:
    """Rows whose sums `matvec` computes side by side: the best of 1, 2 and 4 in Chromium, over weights from memory."""
    return 4 if dtype is DType.F32 or cols <= _SHORT_ROW or byte_dots else 1


def matvec(k: Kernel, out: Ptr, w: Ptr, scales: Ptr, x: Ptr, x_scale: Ptr, first: i32, end: i32, *,
           dtype: DType, cols: int, rows_at_once: int, accumulate: bool, byte_dots: bool = False) -> None:
    """out[r] = sum_c W[r, c] x[c] for first <= r < end; added to out[r] if `accumulate`.

    out: f32[rows]. w: codes. scales: f16[rows, cols / 32] (unused for f32). x: codes as `activation.quantise` leaves
    them, with the same `byte_dots`, and x_scale: f32[1], or x: f32[cols] and x_scale unused.
    """
    dots = _BYTE_DOTS if byte_dots else _DOTS[dtype]
    row = k.var(first)
    with k.loop() as leave:
        leave(row + 4 > end)
        codes, row_scales = _row(k, w, scales, row, dtype, cols)
        sums = [total for r in range(0, 4, rows_at_once)
                for total in _rows_from(k, dots, codes, row_scales, x, r, rows_at_once, dtype, cols)]
        value = lane_sums(k, sums)
        value = value if dtype is DType.F32 else value * f32x4.splat(x_scale.f32[0])
        out.f32x4[row] = out.f32x4[row] + value if accumulate else value
        row += 4
    with k.range(end, start=row) as one:
        codes, row_scales = _row(k, w, scales, one, dtype, cols)
        (total,) = dots(k, codes, row_scales, x, 1, cols)
        _store(out, one, 0, _scaled(total, x_scale, 0, dtype), accumulate)


_Dots = Callable[[Kernel, Ptr, Ptr, Ptr, int, int], list[f32x4]]


def _rows_from(k: Kernel, dots: _Dots, codes: Ptr, scales: Ptr, x: Ptr, r: int, count: int, dtype: DType, cols: int
               ) -> list[f32x4]:
    """Lane sums of `count` rows, from the r-th after those that `codes` and `scales` point to."""
    scale_bytes = 0 if dtype is DType.F32 else 2 * cols // BLOCK
    return dots(k, codes + r * CODE_BYTES[dtype](cols), scales + r * scale_bytes, x, count, cols)


def matmul(k: Kernel, out: Ptr, w: Ptr, scales: Ptr, x: Ptr, x_scale: Ptr, first: i32, end: i32, *,
           dtype: DType, cols: int, tokens: int, out_stride: int, x_stride: int, scale_stride: int,
           accumulate: bool) -> None:
    """`matvec` for `tokens` vectors, each weight loaded once; vector t lies t * stride bytes after the first."""
    row = k.var(first)
    with k.loop() as leave:
        leave(row >= end)
        codes, row_scales = _row(k, w, scales, row, dtype, cols)
        sums = _BATCH_DOTS[dtype](k, codes, row_scales, x, tokens, cols, x_stride)
        for t, total in enumerate(sums):
            value = _scaled(total, x_scale, t * scale_stride, dtype)
            _store(out + t * out_stride, row, 0, value, accumulate)
        row += 1


def linear(k: Kernel, out: Ptr, w: Ptr, scales: Ptr, x: Ptr, x_scale: Ptr, first: i32, end: i32, count: i32, *,
           matvec: Function[Value], matmul: Function[Value], tokens: int, out_stride: int, x_stride: int,
           scale_stride: int) -> None:
    """`matvec` for `count` vectors: groups of `tokens`, then one by one."""
    t = k.var(i32.const(0))
    with k.loop() as leave:
        leave(t + tokens > count)
        k.call(matmul, out + t * out_stride, w, scales, x + t * x_stride, x_scale + t * scale_stride, first, end)
        t += tokens
    with k.range(count, start=t) as one:
        k.call(matvec, out + one * out_stride, w, scales, x + one * x_stride, x_scale + one * scale_stride, first, end)


def bias(k: Kernel, out: Ptr, b: Ptr, first: i32, end: i32, *, accumulate: bool) -> None:
    """out[r] = b[r] for first <= r < end; added to out[r] if `accumulate`. A product that accumulates comes next.

    out, b: f32[rows]. A biased product is W x added to its bias, so the products need no third operand.
    """
    row = k.var(first)
    with k.loop() as leave:
        leave(row + 4 > end)
        out.f32x4[row] = out.f32x4[row] + b.f32x4[row] if accumulate else b.f32x4[row]
        row += 4
    with k.range(end, start=row) as tail:
        out.f32[tail] = out.f32[tail] + b.f32[tail] if accumulate else b.f32[tail]


def _row(k: Kernel, w: Ptr, scales: Ptr, row: i32, dtype: DType, cols: int) -> tuple[Ptr, Ptr]:
    """Where the codes and scales of a row start."""
    codes = k.pointer(w.value + row * CODE_BYTES[dtype](cols))
    return codes, codes if dtype is DType.F32 else k.pointer(scales.value + row * (2 * cols // BLOCK))


def _scaled(total: f32x4, x_scale: Ptr, offset: int, dtype: DType) -> f32:
    return total.sum() if dtype is DType.F32 else total.sum() * (x_scale + offset).f32[0]


def _store(out: Ptr, row: i32, constant: int, value: f32, accumulate: bool) -> None:
    out.f32[row, constant] = out.f32[row, constant] + value if accumulate else value


def _dots_f32(k: Kernel, w: Ptr, _scales: Ptr, x: Ptr, rows: int, cols: int) -> list[f32x4]:
    """Lane sums of `rows` rows; the columns that fill no vector go into the first lanes."""
    sums = [k.var(f32x4.const(0.0)) for _ in range(rows)]
    whole = cols // 4 * 4
    if whole:
        with k.range(whole, step=4) as i:
            xs = k.let(x.f32x4[i])
            for r, total in enumerate(sums):
                total += w.f32x4[i, r * cols] * xs
    for c in range(whole, cols):
        for r, total in enumerate(sums):
            total.set(_add_lane(total, c - whole, w.f32[r * cols + c] * x.f32[c]))
    return sums


def _batch_dots_f32(k: Kernel, w: Ptr, _scales: Ptr, x: Ptr, tokens: int, cols: int, x_stride: int) -> list[f32x4]:
    sums = [k.var(f32x4.const(0.0)) for _ in range(tokens)]
    whole = cols // 4 * 4
    if whole:
        with k.range(whole, step=4) as i:
            ws = k.let(w.f32x4[i])
            for t, total in enumerate(sums):
                total += ws * x.f32x4[i, t * x_stride // 4]
    for c in range(whole, cols):
        for t, total in enumerate(sums):
            total.set(_add_lane(total, c - whole, w.f32[c] * x.f32[t * x_stride // 4 + c]))
    return sums


def _add_lane(total: f32x4, lane: int, value: f32) -> f32x4:
    return total.with_lane(lane, total.lane(lane) + value)


Codes = Callable[[Kernel, Ptr, int], list[i16x8]]


def _codes_q8(k: Kernel, w: Ptr, block: int) -> list[i16x8]:
    """The 32 codes of a block, as four vectors of i16."""
    return [k.let(w.i8x8[block * BLOCK + 8 * i]) for i in range(4)]


def _codes_q4(k: Kernel, w: Ptr, block: int) -> list[i16x8]:
    """The 32 codes of a block, times 4096: lane j of vector i is element 4 j + i, a shift and a mask away."""
    packed = k.let(w.i16x8[block * BLOCK // 4])
    top = k.constant(i16x8, -4096)
    return [k.let(packed << 12), k.let(packed << 8 & top), k.let(packed << 4 & top), k.let(packed & top)]


def _block_sum(codes: list[i16x8], x: Ptr, block: int, offset: int = 0) -> f32x4:
    """Lane sums of one block: integers, exact however they are grouped, then rounded to f32 once."""
    parts = [c.dot(x.i16x8[block * BLOCK + 8 * i + offset]) for i, c in enumerate(codes)]
    return f32x4.of((parts[0] + parts[1]) + (parts[2] + parts[3]))


_Stretch = Callable[[Kernel, Ptr, Ptr, Ptr, list[f32x4], int, int], None]


def _dots_in_stretches(stretch: _Stretch, *, block_bytes: int, x_block_bytes: int, blocks_at_once: int) -> _Dots:
    """Short rows are one stretch of straight code, a sixth faster than a loop; long ones loop over stretches."""
    def dots(k: Kernel, w: Ptr, scales: Ptr, x: Ptr, rows: int, cols: int) -> list[f32x4]:
        sums = [k.var(f32x4.const(0.0)) for _ in range(rows)]
        blocks = cols // BLOCK
        looped = 0 if blocks <= _LONGEST_STRETCH else blocks // blocks_at_once * blocks_at_once
        if looped:
            with k.range(looped, step=blocks_at_once) as b:
                stretch(k, w + b * block_bytes, scales + b * 2, x + b * x_block_bytes, sums, blocks, blocks_at_once)
        rest = w + looped * block_bytes, scales + looped * 2, x + looped * x_block_bytes
        stretch(k, *rest, sums, blocks, blocks - looped)
        return sums
    return dots


def _stretch_of(codes: Codes, block_bytes: int, unit: float) -> _Stretch:
    """Straight code for `count` blocks of every row, added to `sums`; rows have `row_blocks` each."""
    def stretch(k: Kernel, w: Ptr, scales: Ptr, x: Ptr, sums: list[f32x4], row_blocks: int, count: int) -> None:
        for start in range(0, count, 4):
            for r, total in enumerate(sums):
                four = half.four_scales(k, scales, r * row_blocks + start, unit)
                for b in range(start, min(start + 4, count)):
                    block = _block_sum(codes(k, w + r * row_blocks * block_bytes, b), x, b)
                    total += block * four.broadcast32(b - start)
    return stretch


_LONGEST_STRETCH = 24
_SHORT_ROW = 512


def _batch_dots_quantised(codes: Codes, block_bytes: int, unit: float) -> Callable[..., list[f32x4]]:
    def dots(k: Kernel, w: Ptr, scales: Ptr, x: Ptr, tokens: int, cols: int, x_stride: int) -> list[f32x4]:
        sums = [k.var(f32x4.const(0.0)) for _ in range(tokens)]
        with k.range(cols // BLOCK) as b:
            wb, xb = w + b * block_bytes, x + (b << 6)
            scale = k.let(f32x4.splat(half.scale(scales.u16[b], unit)))
            block = codes(k, wb, 0)
            for t, total in enumerate(sums):
                total += _block_sum(block, xb, 0, t * x_stride // 2) * scale
        return sums
    return dots


_Q8 = _codes_q8, 32, 1.0
_Q4 = _codes_q4, 16, 2.0**-12
_DOTS = {
    DType.F32: _dots_f32,
    DType.Q8_0: _dots_in_stretches(_stretch_of(*_Q8), block_bytes=32, x_block_bytes=64, blocks_at_once=16),
    DType.Q4_0: _dots_in_stretches(_stretch_of(*_Q4), block_bytes=16, x_block_bytes=64, blocks_at_once=16),
}
_BYTE_DOTS = _dots_in_stretches(by_bytes.stretch, block_bytes=16, x_block_bytes=CODE_BLOCK_BYTES, blocks_at_once=8)
_BATCH_DOTS = {DType.F32: _batch_dots_f32, DType.Q8_0: _batch_dots_quantised(*_Q8),
               DType.Q4_0: _batch_dots_quantised(*_Q4)}
