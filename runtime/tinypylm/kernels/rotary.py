"""Rotary position embedding (Su et al. 2021): angles, and the rotation of heads into their place."""

from __future__ import annotations

import struct
from decimal import Decimal, localcontext

from tinypylm.kernels.exponential import sin_cos
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32

_DIGITS = 30


def rotary_angle(k: Kernel, cosine: Ptr, sine: Ptr, angle: f32) -> None:
    """cosine, sine = cos, sin of one angle. cosine, sine: f32[1]."""
    sin, cos = sin_cos(k, angle)
    cosine.f32[0] = cos
    sine.f32[0] = sin


def frequencies(theta: float, rotary_dim: int) -> list[float]:
    """theta^(-2 i / rotary_dim), f32[rotary_dim / 2], rounded where others round: to the power, and to its inverse

    In decimal arithmetic, whose results do not depend on the platform's pow.
    """
    with localcontext(prec=_DIGITS):
        powers = [Decimal(theta) ** Decimal(_f32(2 * i / rotary_dim)) for i in range(rotary_dim // 2)]
    return [_f32(1.0 / _f32(float(power))) for power in powers]


def _f32(x: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def rotate(k: Kernel, out: Ptr, x: Ptr, cosines: Ptr, sines: Ptr, first: i32, end: i32, *, head_dim: int,
           rotary_dim: int, out_stride: int, interleaved: bool) -> None:
    """(a, b) -> (a cos - b sin, a sin + b cos) for each pair of each head; elements past rotary_dim are copied

    Heads first <= h < end of x: f32[heads, head_dim]. out: head h starts h * out_stride floats in. Pair i is
    (i, i + rotary_dim / 2), or (2 i, 2 i + 1) if `interleaved`.
    """
    half = rotary_dim // 2
    with k.range(end, start=first) as head:
        source = k.pointer(x.value + head * (4 * head_dim))
        target = k.pointer(out.value + head * (4 * out_stride))
        with k.range(half) as i:
            at = k.let(i << 1) if interleaved else i
            other = 1 if interleaved else half
            a, b = k.let(source.f32[at]), k.let(source.f32[at, other])
            cosine, sine = k.let(cosines.f32[i]), k.let(sines.f32[i])
            target.f32[at] = a * cosine - b * sine
            target.f32[at, other] = a * sine + b * cosine
        with k.range(head_dim, start=rotary_dim) as i:
            target.f32[i] = source.f32[i]


def place(k: Kernel, out: Ptr, x: Ptr, first: i32, end: i32, *, head_dim: int, out_stride: int) -> None:
    """Copies heads first <= h < end of x: f32[heads, head_dim]; head h starts h * out_stride floats into out."""
    with k.range(end, start=first) as head:
        source = k.pointer(x.value + head * (4 * head_dim))
        target = k.pointer(out.value + head * (4 * out_stride))
        with k.range(head_dim) as i:
            target.f32[i] = source.f32[i]
