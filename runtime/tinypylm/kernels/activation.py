"""Elementwise steps between matrix products: i16 codes of a vector, SwiGLU, GELU."""

from __future__ import annotations

from tinypylm.config import DType
from tinypylm.kernels import byte_dots as by_bytes
from tinypylm.kernels.exponential import COUNTS_IN_ONES, exp, normal_tail
from tinypylm.memory import CODE_BLOCK_BYTES
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32
from tinypylm.wasm.vectors import f32x4, i16x8, i32x4

_LARGEST_CODES = {DType.Q8_0: 32767.0, DType.Q4_0: 8191.0}  # a lane sums 8 products; q4_0's weights come times 4096


def quantise(k: Kernel, codes: Ptr, scale: Ptr, x: Ptr, *, n: int, dtype: DType, byte_dots: bool = False) -> None:
    """scale = max|x| / 32767; codes[i] = round(x[i] / scale), i16, half to even

    x: f32[n], n a multiple of 32. codes: i16[n] in the order in which the product of `dtype` reads them: as they are
    for q8_0; for q4_0 each 32 as four vectors, lane j of vector i holding element 4 j + i; with `byte_dots`, for q4_0,
    as that module lays them out. scale: f32[1].
    A NaN or infinity in x makes scale one, so it reaches the logits and is found there.
    """
    largest, largest_code = _largest_magnitude(k, x, n), _LARGEST_CODES[dtype]
    scale.f32[0] = largest / largest_code
    nonzero = largest > 0.0
    factor = k.let(f32x4.splat(k.select(nonzero, largest_code / largest, f32.const(0.0))))
    with k.range(n, step=32) as i:
        rounded = [_rounded(k, x.f32x4[i, 4 * j] * factor) for j in range(8)]
        if byte_dots:
            by_bytes.store(k, codes + (i >> 5) * CODE_BLOCK_BYTES, [k.let(v) for v in _narrowed(rounded)])
        else:
            for j, vector in enumerate(_narrowed(_transposed(k, rounded) if dtype is DType.Q4_0 else rounded)):
                codes.i16x8[i, 8 * j] = vector


def _narrowed(vectors: list[i32x4]) -> list[i16x8]:
    """Every two vectors' lanes in one."""
    return [i16x8.narrow(low, high) for low, high in zip(vectors[::2], vectors[1::2], strict=True)]


def _rounded(k: Kernel, v: f32x4) -> i32x4:
    """The nearest whole numbers, half to even, of magnitudes below 2^22."""
    return k.let((v + COUNTS_IN_ONES).view(i32x4) - _BITS_OF_ZERO)


_BITS_OF_ZERO = 0x4B400000  # of COUNTS_IN_ONES


def _largest_magnitude(k: Kernel, x: Ptr, n: int) -> f32:
    """max|x|; NaN where there is one. Without their sign, floats have the order of their bits, and NaN comes last."""
    lanes = k.var(i32x4.const(0))
    with k.range(n, step=4) as i:
        lanes.set(lanes.max(abs(x.f32x4[i]).view(i32x4)))
    return k.let(k.let(lanes.view(f32x4)).largest())


def _transposed(k: Kernel, rows: list[i32x4]) -> list[i32x4]:
    """Eight vectors of consecutive elements -> pairs of vectors with every fourth element."""
    halves = [transpose4(k, rows[:4]), transpose4(k, rows[4:])]
    return [half[i] for i in range(4) for half in halves]


def transpose4(k: Kernel, rows: list[i32x4]) -> list[i32x4]:
    """The transpose of a 4 x 4 matrix of 32-bit lanes, given and returned as named rows."""
    a, b, c, d = rows
    low_ab, low_cd = k.let(a.shuffle32(b, 0, 4, 1, 5)), k.let(c.shuffle32(d, 0, 4, 1, 5))
    high_ab, high_cd = k.let(a.shuffle32(b, 2, 6, 3, 7)), k.let(c.shuffle32(d, 2, 6, 3, 7))
    return [k.let(low_ab.shuffle32(low_cd, 0, 1, 4, 5)), k.let(low_ab.shuffle32(low_cd, 2, 3, 6, 7)),
            k.let(high_ab.shuffle32(high_cd, 0, 1, 4, 5)), k.let(high_ab.shuffle32(high_cd, 2, 3, 6, 7))]


def swiglu(k: Kernel, gate: Ptr, up: Ptr, first: i32, end: i32) -> None:
    """gate[i] = silu(gate[i]) * up[i] for first <= i < end, silu(g) = g / (1 + exp(-g))  (Shazeer 2020)

    gate, up: f32[end] in rows of whole vectors; first is a multiple of 4, up to three elements behind end are written.
    """
    with k.range(end, step=4, start=first) as i:
        g = k.let(gate.f32x4[i])
        gate.f32x4[i] = g / (1.0 + exp(k, -g)) * up.f32x4[i]


_TANH_SCALE = 1.5957691216057308  # 2 sqrt(2 / pi)
_TANH_CUBE = 0.044715


def gelu(k: Kernel, x: Ptr, first: i32, end: i32, *, tanh: bool) -> None:
    """x[i] = x[i] P(N(0, 1) <= x[i]) = x (1 + erf(x / sqrt(2))) / 2  (Hendrycks & Gimpel 2016)

    With `tanh`, their approximation x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
    x: f32[end] in rows of whole vectors; first is a multiple of 4, up to three elements behind end are written.
    """
    with k.range(end, step=4, start=first) as i:
        v = k.let(x.f32x4[i])
        x.f32x4[i] = _gelu_tanh(k, v) if tanh else _gelu_erf(k, v)


def _gelu_erf(k: Kernel, v: f32x4) -> f32x4:
    """max(v, 0) - |v| P(N(0, 1) > |v|): below zero the tail itself, so nothing cancels there."""
    magnitude = k.let(abs(v))
    return v.pmax(0.0) - magnitude * normal_tail(k, magnitude)


def _gelu_tanh(k: Kernel, v: f32x4) -> f32x4:
    twice_u = (v * v * _TANH_CUBE + 1.0) * v * _TANH_SCALE
    return v / (1.0 + exp(k, -twice_u))
