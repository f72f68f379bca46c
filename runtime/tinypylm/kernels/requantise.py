"""Weights changed where they lie: dequantised, added to, and quantised again, block by block, by the packer's rule.

    u = update * s;  w' = w + u, in f32;  d = f16(max |w'| / 127 or / 7);  code = clamp(round_half_even(w' / d))

A block is 32 consecutive elements of a quantised tensor, 16 of an f32 one (64 bytes, the alignment of payloads, so that
no block reaches into the next tensor). A block where every u is 0 keeps its bytes. The twin, and the definition of
the rule, is `tinypylm_tools.quantise`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinypylm.config import DType
from tinypylm.kernels import half
from tinypylm.wasm.binary import uleb
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.opcodes import OPCODES
from tinypylm.wasm.values import f32, i32
from tinypylm.wasm.vectors import f32x4, i16x8, i32x4, v128

BLOCK_ELEMENTS = {DType.F32: 16, DType.Q8_0: 32, DType.Q4_0: 32}
BLOCK_BYTES = {DType.F32: 64, DType.Q8_0: 32, DType.Q4_0: 16}
"""Of a block's codes; a quantised one has two more, its scale, in a plane of their own."""
PAIR_BYTES = 12

_DIVISOR = {DType.Q8_0: 127.0, DType.Q4_0: 7.0}
_LOWEST = {DType.Q8_0: -127.0, DType.Q4_0: -8.0}
_RANKS_AT_ONCE = 4
_F16_OVERFLOW = 65_520.0  # halfway from the largest f16 to what would follow; such a number rounds to infinity
_SMALLEST_NORMAL_F16 = 2.0**-14


def record_bytes(dtype: DType) -> int:
    """Bytes of a block in the log: its number, its codes, and its scale if it has one."""
    return 4 + BLOCK_BYTES[dtype] + (0 if dtype is DType.F32 else 2)


def clear(k: Kernel, at: i32, size_bytes: i32) -> None:
    """Zeros."""
    k.effect(at.take() + i32.const(0).take() + size_bytes.take() + OPCODES["memory.fill"] + uleb(0))


def scatter(k: Kernel, update: Ptr, pairs: Ptr, count: i32, first: i32) -> None:
    """update[index - first] = delta for `count` pairs (u64 index, f32 delta), 12 bytes each."""
    with k.range(count) as i:
        pair = pairs + i * PAIR_BYTES
        place = k.let(pair.i32[0] - first)
        update.f32[place] = pair.f32[2]


def low_rank(k: Kernel, update: Ptr, a: Ptr, b: Ptr, columns: i32, b_stride: i32, ranks: i32, column: i32,
             count: i32) -> None:
    """update[e] += sum_r B[row(e), r] A[r, column(e)], r ascending, for `count` elements from (first row, column) on

    update: f32[count]. a: f32[ranks, columns]. b: the first row's factors; rows lie b_stride bytes apart.
    """
    at, start, row = k.var(i32.const(0)), k.var(column), k.var(b.value)
    with k.loop() as leave:
        leave(at >= count)
        width = k.let(k.select(columns - start < count - at, columns - start, count - at))
        out, source, factors = update + (at << 2), a + (start << 2), k.pointer(row)
        r = k.var(i32.const(0))
        for at_once in (_RANKS_AT_ONCE, 1):
            with k.loop() as leave_rows:
                leave_rows(r + at_once > ranks)
                scaled = [k.let(factors.f32[r, i]) for i in range(at_once)]
                rows = [k.pointer(source.value + (r + i) * (columns << 2)) for i in range(at_once)]
                _add_scaled(k, out, rows, scaled, width)
                r += at_once
        at += width
        row += b_stride
        start.set(0)


def _add_scaled(k: Kernel, out: Ptr, rows: list[Ptr], factors: list[f32], count: i32) -> None:
    """out = ((out + factors[0] rows[0]) + factors[1] rows[1]) + ... out, each row: f32[count]."""
    splats = [k.let(f32x4.splat(factor)) for factor in factors]
    i = k.var(i32.const(0))
    with k.loop() as leave:
        leave(i + 4 > count)
        four = out.f32x4[i]
        for splat, row in zip(splats, rows, strict=True):
            four = four + splat * row.f32x4[i]
        out.f32x4[i] = four
        i += 4
    with k.range(count, start=i) as tail:
        one = out.f32[tail]
        for factor, row in zip(factors, rows, strict=True):
            one = one + factor * row.f32[tail]
        out.f32[tail] = one


def survey(k: Kernel, codes: Ptr, scales: Ptr, update: Ptr, seen: Ptr, log: Ptr, first: i32, count: i32, s: f32, *,
           dtype: DType) -> i32:
    """The end of the log, after every touched block not seen before was copied to it; 0 if a result is out of range

    Nothing of the tensor changes. seen: u8[count], set for what is logged. first: the number of the first block.
    """
    end, sound = k.var(log.value), k.var(i32.const(1))
    with _touched_blocks(k, codes, scales, update, count, s, dtype) as (b, at, scale, results):
        sound.set(sound & _representable(k, results, dtype))
        with k.when(seen.u8[b].equals(0)):
            seen.u8[b] = i32.const(1)
            _record(k, k.pointer(end), first + b, at, scale, dtype)
            end += record_bytes(dtype)
    return k.select(sound, end, i32.const(0))


def change(k: Kernel, codes: Ptr, scales: Ptr, update: Ptr, count: i32, s: f32, *, dtype: DType) -> None:
    """The touched blocks of `count` get their new codes and scales. `survey` has found that they have some."""
    with _touched_blocks(k, codes, scales, update, count, s, dtype) as (_, at, scale, results):
        _store(k, at, scale, results, dtype)


@contextmanager
def _touched_blocks(
    k: Kernel, codes: Ptr, scales: Ptr, update: Ptr, count: i32, s: f32, dtype: DType
) -> Iterator[tuple[i32, Ptr, Ptr, list[f32x4]]]:
    """A loop over those of `count` blocks in which some u is not 0: number, codes, scale, and w'."""
    with k.range(count) as b:
        at = codes + b * BLOCK_BYTES[dtype]
        scale = scales + (b << 1)
        updates = _updates(k, update + b * (4 * BLOCK_ELEMENTS[dtype]), s, dtype)
        with k.when(_touched(updates)):
            yield b, at, scale, _results(k, at, scale, updates, dtype)


def restore(k: Kernel, codes: Ptr, scales: Ptr, log: Ptr, count: i32, *, dtype: DType) -> None:
    """Every block of a log of `count` records gets back the bytes that it has there."""
    with k.range(count) as n:
        record = log + n * record_bytes(dtype)
        block = k.let(record.i32_bytes[0])
        at = codes + block * BLOCK_BYTES[dtype]
        _copy(k, at, record + 4, dtype)
        if dtype is not DType.F32:
            scales.u16[block] = (record + (4 + BLOCK_BYTES[dtype])).u16[0]


def _record(k: Kernel, record: Ptr, block: i32, codes: Ptr, scale: Ptr, dtype: DType) -> None:
    record.i32_bytes[0] = block
    _copy(k, record + 4, codes, dtype)
    if dtype is not DType.F32:
        (record + (4 + BLOCK_BYTES[dtype])).u16[0] = scale.u16[0]


def _copy(k: Kernel, out: Ptr, source: Ptr, dtype: DType) -> None:
    for part in range(0, BLOCK_BYTES[dtype], 16):
        out.bytes16[part] = source.bytes16[part]


def _updates(k: Kernel, update: Ptr, s: f32, dtype: DType) -> list[f32x4]:
    """u of one block."""
    factor = k.let(f32x4.splat(s))
    return [k.let(update.f32x4[i] * factor) for i in range(0, BLOCK_ELEMENTS[dtype], 4)]


def _touched(updates: list[f32x4]) -> i32:
    found = updates[0].differs(0.0)
    for u in updates[1:]:
        found = found | u.differs(0.0)
    return found.any_true()


def _results(k: Kernel, codes: Ptr, scale: Ptr, updates: list[f32x4], dtype: DType) -> list[f32x4]:
    """w' of one block, in the order of its elements. An f32 weight whose u is 0 stays as it is, -0 too."""
    if dtype is DType.F32:
        old = [k.let(codes.f32x4[4 * i]) for i in range(len(updates))]
        return [k.let(f32x4.apply("v128.bitselect", w + u, w, u.differs(0.0)))
                for w, u in zip(old, updates, strict=True)]
    d = k.let(f32x4.splat(half.scale(scale.u16[0])))
    return [k.let(w * d + u) for w, u in zip(_CODES[dtype](k, codes), updates, strict=True)]


def _codes_q8(k: Kernel, codes: Ptr) -> list[f32x4]:
    """32 codes of 8 bits, as numbers, in order."""
    eights = [k.let(codes.i8x8[8 * i]) for i in range(4)]
    return [half for eight in eights for half in _halves(eight)]


def _codes_q4(k: Kernel, codes: Ptr) -> list[f32x4]:
    """32 codes of 4 bits, as numbers, in order: a byte's low nibble comes first."""
    out = []
    for i in range(2):
        pairs = k.let(codes.i8x8[8 * i])
        low, high = k.let(pairs << 12 >> 12), k.let(pairs >> 4)
        for even, odd in zip(_halves(low), _halves(high), strict=True):
            evens, odds = k.let(even), k.let(odd)
            out += [evens.shuffle32(odds, 0, 4, 1, 5), evens.shuffle32(odds, 2, 6, 3, 7)]
    return out


def _halves(eight: i16x8) -> tuple[f32x4, f32x4]:
    return (f32x4.of(i32x4.apply("i32x4.extend_low_i16x8_s", eight)),
            f32x4.of(i32x4.apply("i32x4.extend_high_i16x8_s", eight)))


_CODES = {DType.Q8_0: _codes_q8, DType.Q4_0: _codes_q4}


def _representable(k: Kernel, results: list[f32x4], dtype: DType) -> i32:
    """1 if the tensor's type has room for w': finite numbers, or a finite scale."""
    if dtype is DType.F32:
        wrong = (results[0] - results[0]).differs(0.0)
        for w in results[1:]:
            wrong = wrong | (w - w).differs(0.0)
        return wrong.any_true().equals(0)
    return _exact_scale(k, results, dtype) < _F16_OVERFLOW


def _exact_scale(k: Kernel, results: list[f32x4], dtype: DType) -> f32:
    """max |w'| / divisor before it is rounded; NaN if a result is."""
    largest = abs(results[0])
    for w in results[1:]:
        largest = largest.max(abs(w))
    four = k.let(largest)
    return four.largest() / _DIVISOR[dtype]


def _store(k: Kernel, codes: Ptr, scale: Ptr, results: list[f32x4], dtype: DType) -> None:
    if dtype is DType.F32:
        for i, w in enumerate(results):
            codes.f32x4[4 * i] = w
        return
    stored = k.let(_f16_bits(k, k.let(_exact_scale(k, results, dtype))))
    scale.u16[0] = stored
    d = k.let(half.scale(stored))
    divisor = k.let(f32x4.splat(k.select(d.equals(0.0), f32.const(float("inf")), d)))
    highest = _DIVISOR[dtype]
    numbers = [k.let(i32x4.truncate((w / divisor).nearest().pmax(_LOWEST[dtype]).pmin(highest))) for w in results]
    packed = _packed_q8(numbers) if dtype is DType.Q8_0 else _packed_q4(k, numbers)
    for i, part in enumerate(packed):
        codes.bytes16[16 * i] = part


def _f16_bits(k: Kernel, x: f32) -> i32:
    """x >= 0, below the overflow, as f16, half to even; below the normal numbers an addition does the rounding."""
    bits = k.let(i32.bits(x))
    normal = (bits + (bits.shr_u(13) & 1) + 0xFFF).shr_u(13) - (112 << 10)
    small = i32.bits(x + 0.5) - 0x3F00_0000
    return k.select(x < _SMALLEST_NORMAL_F16, small, normal)


def _packed_q8(numbers: list[i32x4]) -> list[v128]:
    pairs = [i16x8.narrow(low, high) for low, high in zip(numbers[0::2], numbers[1::2], strict=True)]
    return [v128.apply("i8x16.narrow_i16x8_s", *pairs[:2]), v128.apply("i8x16.narrow_i16x8_s", *pairs[2:])]


def _packed_q4(k: Kernel, numbers: list[i32x4]) -> list[v128]:
    bytes4 = []
    for first, second in zip(numbers[0::2], numbers[1::2], strict=True):
        evens, odds = first.shuffle32(second, 0, 2, 4, 6), first.shuffle32(second, 1, 3, 5, 7)
        bytes4.append((evens & 15) | ((odds & 15) << 4))
    low, high = i16x8.narrow(*bytes4[:2]), i16x8.narrow(*bytes4[2:])
    return [v128.apply("i8x16.narrow_i16x8_u", low, high)]
