"""Normalisation. Sums run in four lanes; the columns that fill no vector come last."""

from __future__ import annotations

from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32
from tinypylm.wasm.vectors import f32x4


def rmsnorm(k: Kernel, out: Ptr, x: Ptr, w: Ptr, *, n: int, epsilon: float) -> None:
    """out[i] = w[i] * (x[i] / sqrt(mean(x * x) + epsilon))  (Zhang & Sennrich 2019)

    out, x, w: f32[n]; out may be x. Squares that overflow make the result NaN, not 0, so that the logits show it.
    """
    whole = n // 4 * 4
    scale = _inverse_rms(k, x, n, epsilon)
    scales = k.let(f32x4.splat(scale))
    with k.range(whole, step=4) as i:
        out.f32x4[i] = w.f32x4[i] * (x.f32x4[i] * scales)
    for tail in range(whole, n):
        out.f32[tail] = w.f32[tail] * (x.f32[tail] * scale)


def layernorm(k: Kernel, out: Ptr, x: Ptr, w: Ptr, b: Ptr, *, n: int, epsilon: float) -> None:
    """out[i] = w[i] * (d[i] / sqrt(mean(d * d) + epsilon)) + b[i], d = x - mean(x)  (Ba et al. 2016)

    out, x, w, b: f32[n]; out may be x, and holds d on the way. What overflows becomes NaN, as in `rmsnorm`.
    """
    whole = n // 4 * 4
    _centre(k, out, x, n)
    scale = _inverse_rms(k, out, n, epsilon)
    scales = k.let(f32x4.splat(scale))
    with k.range(whole, step=4) as i:
        out.f32x4[i] = w.f32x4[i] * (out.f32x4[i] * scales) + b.f32x4[i]
    for tail in range(whole, n):
        out.f32[tail] = w.f32[tail] * (out.f32[tail] * scale) + b.f32[tail]


def _inverse_rms(k: Kernel, x: Ptr, n: int, epsilon: float) -> f32:
    """1 / sqrt(mean(x * x) + epsilon); NaN where the sum overflows."""
    whole = n // 4 * 4
    lanes = k.var(f32x4.const(0.0))
    with k.range(whole, step=4) as i:
        v = k.let(x.f32x4[i])
        lanes += v * v
    total = k.var(lanes.sum())
    for tail in range(whole, n):
        last = k.let(x.f32[tail])
        total += last * last
    return k.let(1.0 / (total / float(n) + epsilon).sqrt() + total * 0.0)


def _centre(k: Kernel, out: Ptr, x: Ptr, n: int) -> None:
    """out = x - mean(x)"""
    whole = n // 4 * 4
    lanes = k.var(f32x4.const(0.0))
    with k.range(whole, step=4) as i:
        lanes += x.f32x4[i]
    total = k.var(lanes.sum())
    for tail in range(whole, n):
        total += x.f32[tail]
    mean = k.let(total / float(n))
    means = k.let(f32x4.splat(mean))
    with k.range(whole, step=4) as i:
        out.f32x4[i] = x.f32x4[i] - means
    for tail in range(whole, n):
        out.f32[tail] = x.f32[tail] - mean
