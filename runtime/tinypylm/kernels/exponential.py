"""Our own exp, log, sin, cos and normal tail: no engine's libm takes part, so every host computes the same bits.

Error bounds (measured against f64 by the tests): exp 2 ulp of f32 on [-87.3, 88.3]; sin and cos 1 ulp
of f32 up to 2^20 radians; log 1 ulp of f32; normal_tail 7e-7 of the result up to 4, 5e-6 up to 13.
"""

from __future__ import annotations

from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.values import f32, f64, i32
from tinypylm.wasm.vectors import f32x4, i32x4

SMALLEST_EXPONENT = -87.33654  # below this exp is 0: its result would not be a normal f32
LARGEST_EXPONENT = 88.37626

COUNTS_IN_ONES = 12_582_912.0
"""1.5 * 2^23: near it f32 has the whole numbers only, so adding it rounds, half to even, what is below 2^22."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693359375  # 10 bits, so that n * high is exact (Cody & Waite)
_LN2_LOW = -2.12194440e-4
_EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


def exp(k: Kernel, x: f32x4) -> f32x4:
    """e^x in each lane; 0 below -87.34, e^88.37 above; NaN stays NaN. Cephes' polynomial (expf)."""
    x = k.let(x)
    clamped = k.let(x.pmax(SMALLEST_EXPONENT).pmin(LARGEST_EXPONENT))
    counted = k.let(clamped * _LOG2_E + COUNTS_IN_ONES)
    n = k.let(counted - COUNTS_IN_ONES)
    r = k.let(clamped - n * _LN2_HIGH - n * _LN2_LOW)
    polynomial = k.constant(f32x4, _EXP_TERMS[0])
    for term in _EXP_TERMS[1:]:
        polynomial = polynomial * r + term
    mantissa = polynomial * (r * r) + r + 1.0
    power = (counted.view(i32x4) << 23) + (127 << 23)  # the shift leaves n's lowest bits alone
    return k.let((mantissa * power.view(f32x4)).and_not(x < SMALLEST_EXPONENT))


_TAIL_SLOPE = 0.265625
_TAIL_TERMS = (0.0306698947, -0.142311032, 0.212156554, -0.110625562, 0.13419141, 0.0618194961, 0.10257353, 0.105537011,
               0.105988705)


def normal_tail(k: Kernel, y: f32x4) -> f32x4:
    """P(N(0, 1) > y) = erfc(y / sqrt(2)) / 2 for y >= 0 in each lane; NaN stays NaN

    e^(-y^2 / 2) times a polynomial in t = 1 / (1 + slope y): the form of Abramowitz & Stegun 7.1.26, with coefficients
    fitted for the least relative error on [0, 13.5]; past 13.2 the exponential is 0. Far out, rounding y^2 costs most.
    """
    t = k.let(1.0 / (1.0 + _TAIL_SLOPE * y))
    polynomial = k.constant(f32x4, _TAIL_TERMS[0])
    for term in _TAIL_TERMS[1:]:
        polynomial = polynomial * t + term
    return exp(k, y * y * -0.5) * (polynomial * t)


_LN2 = 0.6931471805599453
_SQRT_HALF_BITS = 0x3F3504F3


def log(k: Kernel, x: f32) -> f32:
    """ln x of one normal positive number: x = 2^e m, m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1))."""
    bits = k.let(i32.bits(x))
    exponent = k.let((bits - _SQRT_HALF_BITS) >> 23)
    m = k.let(f64.widened(f32.from_bits(bits - (exponent << 23))))
    s = k.let((m - 1.0) / (m + 1.0))
    square = k.let(s * s)
    series = f64.const(1 / 15)
    for odd in (13, 11, 9, 7, 5, 3, 1):
        series = series * square + 1 / odd
    return f32.rounded(f64.of(exponent) * _LN2 + 2.0 * (s * series))


_HALF_PI_HIGH = 1.5707963267341256  # 33 bits, so that n * high is exact for n below 2^20 (fdlibm)
_HALF_PI_LOW = 6.077100506506192e-11
_SIN_TERMS = (-7.647163731819816e-13, 1.605904383682161e-10, -2.505210838544172e-08, 2.755731922398589e-06,
              -1.984126984126984e-04, 8.333333333333333e-03, -1.666666666666667e-01)
_COS_TERMS = (-1.147074559772972e-11, 2.087675698786810e-09, -2.755731922398589e-07, 2.480158730158730e-05,
              -1.388888888888889e-03, 4.166666666666667e-02, -0.5)


def sin_cos(k: Kernel, angle: f32) -> tuple[f32, f32]:
    """Sine and cosine of one angle of at most 2^20 radians: reduced to +-pi/4 and summed (Taylor) in f64."""
    x = k.let(f64.widened(angle))
    n = k.let((x * (2 / 3.141592653589793)).nearest())
    r = k.let(x - n * _HALF_PI_HIGH - n * _HALF_PI_LOW)
    square = k.let(r * r)
    sine = k.let(r + r * square * _horner(square, _SIN_TERMS))
    cosine = k.let(1.0 + square * _horner(square, _COS_TERMS))
    quadrant = k.let(i32.truncate(n) & 3)
    odd = k.let(quadrant & 1)
    sin_negative, cos_negative = quadrant >> 1, (quadrant + 1 >> 1) & 1
    return (_signed(k, k.select(odd, cosine, sine), sin_negative),
            _signed(k, k.select(odd, sine, cosine), cos_negative))


def _horner(x: f64, terms: tuple[float, ...]) -> f64:
    total = f64.const(terms[0])
    for term in terms[1:]:
        total = total * x + term
    return total


def _signed(k: Kernel, value: f64, negative: i32) -> f32:
    """-value if `negative` is not 0."""
    magnitude = k.let(f32.rounded(value))
    return k.let(k.select(negative, -magnitude, magnitude))
