"""One function for each kernel of `tinypylm.kernels`, in f64 unless the order of roundings is the point."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import DType

Array = NDArray[np.float64]


def matvec(w: Array, x: Array) -> Array:
    return w.astype(np.float64) @ x.astype(np.float64)


LARGEST_CODE = {DType.Q8_0: 32767, DType.Q4_0: 8191}


def quantise(x: NDArray[np.float32], dtype: DType) -> tuple[NDArray[np.int16], np.float32]:
    largest, largest_code = np.abs(x).max(), np.float32(LARGEST_CODE[dtype])
    if largest == 0:
        return np.zeros(len(x), np.int16), np.float32(0)
    return np.rint(x * (largest_code / largest)).astype(np.int16), largest / largest_code


def byte_blocks(codes: NDArray[np.int16]) -> NDArray[np.int8]:
    """Each 32 codes as 80 bytes: low and high bytes of the even ones, then of the odd ones, then i32[4], -8 times the
    sums of each eight. A code is high * 256 + low, both signed."""
    blocks = codes.reshape(-1, 32).astype(np.int32)
    low = blocks.astype(np.int8)
    high = ((blocks - low) // 256).astype(np.int8)
    too_much = (-8 * blocks.reshape(-1, 4, 8).sum(axis=2)).astype("<i4").view(np.int8)
    parts = [low[:, 0::2], high[:, 0::2], low[:, 1::2], high[:, 1::2], too_much.reshape(-1, 16)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1)).reshape(-1)


def q4_order(codes: NDArray[np.int16]) -> NDArray[np.int16]:
    """Each 32 codes as four vectors of eight: vector i holds the elements 4 j + i."""
    return np.ascontiguousarray(codes.reshape(-1, 8, 4).transpose(0, 2, 1)).reshape(-1)


def rmsnorm(x: Array, w: Array, epsilon: float) -> Array:
    x = x.astype(np.float64)
    return w * x / np.sqrt(np.mean(x * x) + epsilon)


def layernorm(x: Array, w: Array, b: Array, epsilon: float) -> Array:
    x = x.astype(np.float64)
    return w * (x - x.mean()) / np.sqrt(x.var() + epsilon) + b


def gelu(x: Array, tanh: bool) -> Array:
    """By erfc rather than erf, which would lose the digits of a small result to cancellation."""
    x = x.astype(np.float64)
    if tanh:
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * np.array([math.erfc(-v / math.sqrt(2)) for v in x]) / 2


def swiglu(gate: Array, up: Array) -> Array:
    gate = gate.astype(np.float64)
    return gate / (1 + np.exp(-gate)) * up


def rotate(x: Array, cosines: Array, sines: Array, interleaved: bool) -> Array:
    """x: [heads, head_dim]; cosines, sines: [rotary_dim / 2]; what lies past rotary_dim is copied."""
    out, half = x.astype(np.float64).copy(), len(cosines)
    pairs = [(2 * i, 2 * i + 1) if interleaved else (i, i + half) for i in range(half)]
    for i, (a, b) in enumerate(pairs):
        out[:, a] = x[:, a] * cosines[i] - x[:, b] * sines[i]
        out[:, b] = x[:, a] * sines[i] + x[:, b] * cosines[i]
    return out


def attend(query: Array, keys: Array, values: Array) -> Array:
    """query: [heads, head_dim]; keys, values: [kv_heads, positions, head_dim]."""
    heads, head_dim = query.shape
    out = np.zeros((heads, head_dim))
    for h in range(heads):
        g = h * len(keys) // heads
        scores = keys[g].astype(np.float64) @ query[h].astype(np.float64) / np.sqrt(head_dim)
        weights = np.exp(scores - scores.max())
        out[h] = weights @ values[g].astype(np.float64) / weights.sum()
    return out


def candidates(logits: NDArray[np.float32], seen: set[int], k: int, temperature: float, penalty: float,
               ) -> tuple[NDArray[np.int64], NDArray[np.float32], Array, float]:
    """Ids and penalised logits of the k best, their weights, and ln(sum(exp(raw logits)))."""
    adjusted = logits.copy()
    for token in seen:
        p = np.float32(penalty)
        adjusted[token] = adjusted[token] / p if adjusted[token] > 0 else adjusted[token] * p
    order = np.lexsort((np.arange(len(logits)), -adjusted))[:k]
    best = adjusted[order]
    raw = logits.astype(np.float64)
    total = float(np.log(np.exp(raw - raw.max()).sum()) + raw.max())
    return order, best, np.exp((best.astype(np.float64) - best[0]) / temperature), total
