"""Half precision (IEEE 754 binary16): the scales of blocks, and the KV cache, without subnormals, infinities and NaN.

In the cache a magnitude below 2^-14 becomes zero, one above 65,504 becomes 65,504; others are rounded to nearest, ties
to even.
"""

from __future__ import annotations

from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32
from tinypylm.wasm.vectors import f32x4, i16x8, i32x4

LARGEST = 65504.0
_SMALLEST_BITS = 0x38800000  # of 2^-14 as f32
_REBIAS = (127 - 15) << 23
_SIGN = -0x8000_0000
_SIGN_AND_VALUE = _SIGN | 0x0FFF_E000  # of an f16's bits, sign-extended and shifted to f32's mantissa
EXPONENT_SHIFT = 2.0**112  # an f16's bits, shifted to f32's mantissa, are its value times 2^-112


def scale(bits: i32, unit: float = 1.0) -> f32:
    """The f16 with these bits, which is not negative, times a power of two."""
    return f32.from_bits(bits << 13) * (unit * EXPONENT_SHIFT)


def four_scales(k: Kernel, scales: Ptr, index: int, unit: float) -> f32x4:
    """Scales of four blocks, widened; named. Behind the last row this reads up to six bytes of what follows, unused."""
    return k.let((scales.u16x4[index] << 13).view(f32x4) * (unit * EXPONENT_SHIFT))


def halve(k: Kernel, out: Ptr, x: Ptr, first: i32, end: i32, *, head_dim: int, out_stride: int) -> None:
    """Heads first <= h < end of x: f32[heads, head_dim] as f16; head h starts h * out_stride elements into out

    head_dim is a multiple of 8.
    """
    with k.range(end, start=first) as head:
        source = k.pointer(x.value + head * (4 * head_dim))
        target = k.pointer(out.value + head * (2 * out_stride))
        with k.range(head_dim, step=8) as i:
            target.i16x8[i] = i16x8.narrow(_codes(k, source.f32x4[i]), _codes(k, source.f32x4[i, 4]))


def _codes(k: Kernel, x: f32x4) -> i32x4:
    """The f16 bits of each lane, sign-extended."""
    bits = k.let(x.pmax(-LARGEST).pmin(LARGEST).view(i32x4))
    magnitude = k.let(bits & 0x7FFF_FFFF)
    odd = (magnitude >> 13) & 1
    rounded = (magnitude + odd + (0xFFF - _REBIAS)) >> 13
    value = k.let(rounded & (magnitude > _SMALLEST_BITS - 1))
    sign = bits >> 31 << 15
    return value | sign


def widen(x: i32x4) -> f32x4:
    """Sign-extended f16 bits as f32."""
    return (x << 13 & _SIGN_AND_VALUE).view(f32x4) * EXPONENT_SHIFT
