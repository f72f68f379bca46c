"""ln(sum(exp(logits))) from segments of the vocabulary: threads divide them, and the sum has one order all the same."""

from __future__ import annotations

from tinypylm.kernels.exponential import exp, log
from tinypylm.memory import SEGMENT_LOGITS, aligned, segment_count
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32
from tinypylm.wasm.vectors import f32x4

_NEGATIVE_INFINITY = float("-inf")
_LOWEST = -3.4028234663852886e38  # of all finite f32: its exponential adds nothing, and it is not infinite
_VECTORS_AT_ONCE = 4


def summarise(k: Kernel, logits: Ptr, largest: Ptr, sums: Ptr, first: i32, end: i32, *, n: int) -> None:
    """largest[s] = max(logits[s]), sums[s] = sum(exp(logits[s] - largest[s])) of the segments first <= s < end

    sums[s] is NaN if a logit of it is NaN or infinite. A segment is SEGMENT_LOGITS logits, the last one what is left.
    logits: f32[n], with room for whole vectors behind, which is written to. largest, sums: f32[segments].
    """
    padded = aligned(n, 4)
    if padded > n:
        with k.when(end >= segment_count(n)):
            for behind in range(n, padded):
                logits.f32[behind] = _LOWEST
    with k.range(end, start=first) as s:
        start = k.let(s * SEGMENT_LOGITS)
        segment, left = k.pointer(logits.value + (start << 2)), k.let(padded - start)
        count = k.let(k.select(left < SEGMENT_LOGITS, left, i32.const(SEGMENT_LOGITS)))
        peak, taint = _largest(k, segment, count)
        total, peaks = k.var(f32x4.const(0.0)), k.let(f32x4.splat(peak))
        with k.range(count, step=4) as i:
            total += exp(k, segment.f32x4[i] - peaks)
        largest.f32[s] = peak
        sums.f32[s] = total.sum() + taint


def log_sum_exp(k: Kernel, largest: Ptr, sums: Ptr, *, segments: int) -> f32:
    """ln(sum(exp(logits))) from what `summarise` has found; NaN if any logit is NaN or infinite

    largest, sums: f32[segments], with room for whole vectors behind, which is written to.
    """
    for behind in range(segments, aligned(segments, 4)):
        largest.f32[behind], sums.f32[behind] = _NEGATIVE_INFINITY, 0.0
    lanes = k.var(f32x4.const(_NEGATIVE_INFINITY))
    with k.range(segments, step=4) as s:
        lanes.set(lanes.pmax(largest.f32x4[s]))  # passes NaN over; the sums have it, too
    peak = k.let(lanes.largest())
    total, peaks = k.var(f32x4.const(0.0)), k.let(f32x4.splat(peak))
    with k.range(segments, step=4) as s:
        total += sums.f32x4[s] * exp(k, largest.f32x4[s] - peaks)
    whole = k.let(total.sum())
    return peak + log(k, whole) + whole * 0.0  # the logarithm takes NaN for a number


def _largest(k: Kernel, x: Ptr, count: i32) -> tuple[f32, f32]:
    """The largest of x[0 .. count - 1], count a multiple of 4, and 0, or NaN if one is NaN or infinite.

    Several vectors at a time, because each result waits for the one before it.
    """
    peaks = [k.var(f32x4.const(_NEGATIVE_INFINITY)) for _ in range(_VECTORS_AT_ONCE)]
    taints = [k.var(f32x4.const(0.0)) for _ in range(_VECTORS_AT_ONCE)]

    def take(i: i32, vectors: int) -> None:
        for j in range(vectors):
            v = k.let(x.f32x4[i, 4 * j])
            peaks[j].set(peaks[j].pmax(v))
            taints[j] += v * 0.0

    stretched = k.let(count & -4 * _VECTORS_AT_ONCE)
    with k.range(stretched, step=4 * _VECTORS_AT_ONCE) as i:
        take(i, _VECTORS_AT_ONCE)
    with k.range(count, step=4, start=stretched) as i:
        take(i, 1)
    for j in range(1, _VECTORS_AT_ONCE):
        peaks[0].set(peaks[0].pmax(peaks[j]))
        taints[0] += taints[j]
    return k.let(peaks[0].largest()), k.let(taints[0].sum())
