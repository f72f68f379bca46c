"""Causal attention of one token over the KV cache, with grouped heads (Ainslie et al. 2023)."""

from __future__ import annotations

from tinypylm.kernels.exponential import exp
from tinypylm.kernels.half import widen
from tinypylm.kernels.lanes import lane_sums
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.values import f32, i32
from tinypylm.wasm.vectors import f32x4

_NEGATIVE_INFINITY = float("-inf")
_VECTORS_AT_ONCE = 8  # accumulators of the value sum that are held in registers


def attend(k: Kernel, out: Ptr, query: Ptr, keys: Ptr, values: Ptr, scores: Ptr, length: i32, first: i32, end: i32, *,
           heads: int, kv_heads: int, head_dim: int, padded_dim: int, positions: int, half: bool) -> None:
    """out[h] = sum_t softmax_t(query[h] . keys[g, t] / sqrt(head_dim)) values[g, t], g = h kv_heads / heads, t < length

    out: f32[heads, head_dim]. query: f32[heads, padded_dim]. keys, values: [kv_heads, positions, padded_dim] in f32, or
    f16 if `half`, zero behind head_dim. scores: f32[positions], scratch; positions a multiple of 4. Sums over positions
    run from the first. Only the key/value heads first <= g < end are computed.
    """
    group, row_bytes = heads // kv_heads, padded_dim * (2 if half else 4)
    with k.range(end, start=first) as g:
        head_keys = k.pointer(keys.value + g * (positions * row_bytes))
        head_values = k.pointer(values.value + g * (positions * row_bytes))
        with k.range(group) as member:
            head = k.let(g * group + member)
            q = k.pointer(query.value + head * (4 * padded_dim))
            _score(k, scores, q, head_keys, length, padded_dim, head_dim**-0.5, half)
            total = _softmax(k, scores, length)
            target = k.pointer(out.value + head * (4 * head_dim))
            _weigh(k, target, scores, head_values, length, total, padded_dim, head_dim, half)


def _four(row: Ptr, column: int, half: bool) -> f32x4:
    """Four elements of a cached row."""
    return widen(row.i16x4[column]) if half else row.f32x4[column]


def _score(k: Kernel, scores: Ptr, q: Ptr, keys: Ptr, length: i32, padded_dim: int, scale: float,
           half: bool) -> None:
    """scores[t] = scale * (q . keys[t]), four positions at a time; -inf from `length` to the next multiple of 4."""
    with k.range(length, step=4) as t:
        rows = k.pointer(keys.value + t * (padded_dim * (2 if half else 4)))
        sums = [k.var(f32x4.const(0.0)) for _ in range(4)]
        for c in range(0, padded_dim, 4):
            part = k.let(q.f32x4[c])
            for r, total in enumerate(sums):
                total += part * _four(rows, c + r * padded_dim, half)
        scores.f32x4[t] = lane_sums(k, sums) * scale
    with k.range((length + 3) & -4, start=length) as t:
        scores.f32[t] = _NEGATIVE_INFINITY


def _softmax(k: Kernel, scores: Ptr, length: i32) -> f32:
    """scores[t] = exp(scores[t] - max); the result is their sum."""
    largest = k.var(f32x4.const(_NEGATIVE_INFINITY))
    with k.range(length, step=4) as t:
        largest.set(largest.pmax(scores.f32x4[t]))  # passes NaN over; its exponential brings it back
    peak = k.let(f32x4.splat(largest.largest()))
    total = k.var(f32x4.const(0.0))
    with k.range(length, step=4) as t:
        weight = exp(k, scores.f32x4[t] - peak)
        scores.f32x4[t] = weight
        total += weight
    return k.let(total.sum())


def _weigh(k: Kernel, out: Ptr, scores: Ptr, values: Ptr, length: i32, total: f32, padded_dim: int,
           head_dim: int, half: bool) -> None:
    """out = sum_t scores[t] values[t] / total, a few columns at a time."""
    inverse = k.let(f32x4.splat(1.0 / total))
    for start in range(0, padded_dim, 4 * _VECTORS_AT_ONCE):
        columns = range(start, min(start + 4 * _VECTORS_AT_ONCE, padded_dim), 4)
        sums = [k.var(f32x4.const(0.0)) for _ in columns]
        with k.range(length) as t:
            row = k.pointer(values.value + t * (padded_dim * (2 if half else 4)))
            weight = k.let(f32x4.splat(scores.f32[t]))
            for c, acc in zip(columns, sums, strict=True):
                acc += weight * _four(row, c, half)
        for c, acc in zip(columns, sums, strict=True):
            _store_columns(k, out, c, k.let(acc * inverse), head_dim)


def _store_columns(k: Kernel, out: Ptr, column: int, v: f32x4, head_dim: int) -> None:
    """Heads stand side by side in `out`: a vector that reaches over the end of one is stored lane by lane."""
    if column + 4 <= head_dim:
        out.f32x4[column] = v
        return
    for lane in range(head_dim - column):
        out.f32[column + lane] = v.lane(lane)
