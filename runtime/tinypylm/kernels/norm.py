"""Normalisation."""

from __future__ import annotations

from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.vectors import f32x4


def rmsnorm(k: Kernel, out: Ptr, x: Ptr, w: Ptr, *, n: int, epsilon: float) -> None:
    """out[i] = w[i] * (x[i] / sqrt(mean(x * x) + epsilon))  (Zhang & Sennrich 2019)

    out, x, w: f32[n]; out may be x. Squares are added in four lanes; the columns that fill no vector come last.
    Squares that overflow make the result NaN, not 0, so that the logits show it.
    """
    whole = n // 4 * 4
    lanes = k.var(f32x4.const(0.0))
    with k.range(whole, step=4) as i:
        v = k.let(x.f32x4[i])
        lanes += v * v
    total = k.var(lanes.sum())
    for tail in range(whole, n):
        last = k.let(x.f32[tail])
        total += last * last
    scale = k.let(1.0 / (total / float(n) + epsilon).sqrt() + total * 0.0)
    scales = k.let(f32x4.splat(scale))
    with k.range(whole, step=4) as i:
        out.f32x4[i] = w.f32x4[i] * (x.f32x4[i] * scales)
    for tail in range(whole, n):
        out.f32[tail] = w.f32[tail] * (x.f32[tail] * scale)

