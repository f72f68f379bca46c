"""q4_0 products by relaxed SIMD's dot product of bytes: sixteen multiply-accumulates in one instruction.

`i32x4.relaxed_dot_i8x16_i7x16_add_s` adds products of bytes in fours. Engines may differ where a byte of the second
operand exceeds 127 (relaxed SIMD, "Relaxed integer dot product"); here it is a weight's four bits, so all of them give
the same exact integers. An activation's i16 code is two bytes, high * 256 + low, each signed: two dot products. Weights
count from 0 instead of from -8; what that is too much depends on the activations alone and is subtracted beforehand.

A lane sums the same elements as in `linear`, so a row's bits are the same, whichever way they are computed. There is no
`matmul`: with many tokens to a weight, pairs are faster, since activations outweigh weights and these have more bytes.

Activations lie in blocks of 80 bytes for 32 elements: i8[16] each of the low bytes of the even elements, their high
bytes, the low bytes of the odd ones, their high bytes; then i32[4], -8 times the sums of each eight elements.
"""

from __future__ import annotations

from tinypylm.kernels import half
from tinypylm.kernels.lanes import lane_sums
from tinypylm.memory import CODE_BLOCK_BYTES
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.vectors import f32x4, i8x16, i16x8, i32x4

_WEIGHT_BYTES = 16  # of a block
_SIGNS = -0x7778  # 0x8888, the sign of each four bits: without it, what counted from -8 counts from 0
_EVEN_THEN_ODD = (*range(0, 32, 4), *range(2, 32, 4))  # the low bytes of sixteen i16
_LOW_HALVES, _HIGH_HALVES = (*range(8), *range(16, 24)), (*range(8, 16), *range(24, 32))


def store(k: Kernel, block: Ptr, codes: list[i16x8]) -> None:
    """Puts the 32 codes of a block, named, in their places. A code is at most 32,639."""
    highs = [k.let((c + k.constant(i16x8, 128)) >> 8) for c in codes]
    for at, halves in ((0, codes), (16, highs)):
        first, second = (k.let(a.view(i8x16).shuffle(b.view(i8x16), *_EVEN_THEN_ODD))
                         for a, b in (halves[:2], halves[2:]))
        block.i8x16[at] = first.shuffle(second, *_LOW_HALVES)
        block.i8x16[at + 32] = first.shuffle(second, *_HIGH_HALVES)
    block.i32x4[64 // 4] = lane_sums(k, [k.let(c.dot(k.constant(i16x8, -8))) for c in codes])


class _Activations:
    """A block of them, named."""

    def __init__(self, k: Kernel, block: Ptr):
        self._zero = k.constant(i32x4, 0)
        self._low_even, self._high_even, self._low_odd, self._high_odd = (k.let(block.i8x16[16 * i]) for i in range(4))
        self._too_much = k.let(block.i32x4[64 // 4])

    def times(self, even: i8x16, odd: i8x16) -> f32x4:
        """Lane sums of a block: integers, exact however they are grouped, then rounded to f32 once."""
        low = self._low_odd.dot_add(odd, self._low_even.dot_add(even, self._too_much))
        high = self._high_odd.dot_add(odd, self._high_even.dot_add(even, self._zero))
        return f32x4.of(low + (high << 8))


def _weights(k: Kernel, w: Ptr) -> tuple[i8x16, i8x16]:
    """The 32 codes of a block, plus 8: those of even elements, and those of odd ones."""
    packed, four_bits = k.let(w.i16x8[0] ^ k.constant(i16x8, _SIGNS)), k.constant(i8x16, 15)
    return k.let(packed.view(i8x16) & four_bits), k.let(packed.shr_u(4).view(i8x16) & four_bits)


def stretch(k: Kernel, w: Ptr, scales: Ptr, x: Ptr, sums: list[f32x4], row_blocks: int, count: int) -> None:
    """Straight code for `count` blocks of every row, added to `sums`; rows have `row_blocks` each."""
    for start in range(0, count, 4):
        fours = [half.four_scales(k, scales, r * row_blocks + start, 1.0) for r in range(len(sums))]
        for b in range(start, min(start + 4, count)):
            activations = _Activations(k, x + b * CODE_BLOCK_BYTES)
            for r, total in enumerate(sums):
                weights = _weights(k, w + (r * row_blocks + b) * _WEIGHT_BYTES)
                total += activations.times(*weights) * fours[r].broadcast32(b - start)
