"""Weights to payload bytes and back, in NumPy: the definition of q8_0 and q4_0 (`docs/format.md`).

d = f16(max_abs / 127 or / 7) for each block of 32; code = clamp(round_half_even(f32(w / d))). No reciprocal, and the
rounded d is the one that divides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.quant import BLOCK_ELEMENTS, code_bytes

F32 = NDArray[np.float32]
I8 = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Rule:
    """d = max_abs / divisor; codes are clamped to lowest..highest."""

    divisor: int
    lowest: int
    highest: int


RULES = {DType.Q8_0: Rule(127, -127, 127), DType.Q4_0: Rule(7, -8, 7)}


def encode(weights: ArrayLike, dtype: DType, name: str) -> bytes:
    """The payload of a tensor. Raises ToolError, which names the tensor, for weights that have none."""
    values = np.ascontiguousarray(weights, "<f4")
    check_finite(values, name)
    if dtype is DType.F32:
        return values.tobytes()
    return payload(*blocks(values.reshape(-1, BLOCK_ELEMENTS), dtype, name), dtype)


def payload(scales: F32, codes: I8, dtype: DType) -> bytes:
    """All codes, then all scales."""
    return _packed(codes, dtype) + scales.astype("<f2").tobytes()


def blocks(values: F32, dtype: DType, name: str) -> tuple[F32, I8]:
    """Scales [n] (f16 values as f32) and codes [n, 32] of values [n, 32], by the rule above.

    A block whose scale rounds to 0 gets zero codes.
    """
    rule = RULES[dtype]
    with np.errstate(over="ignore", under="ignore"):
        scales = (np.abs(values).max(axis=1) / np.float32(rule.divisor)).astype(np.float16).astype(np.float32)
    if not np.isfinite(scales).all():
        raise ToolError(
            ErrorCode.SCALE_OVERFLOW, f"{name} holds {float(np.abs(values).max()):g}; a block's largest weight may be "
            f"at most {65504 * rule.divisor}, as scales are f16. Pack this model as f32.", {"tensor": name})
    return scales, codes_of(values, scales, rule)


def codes_of(values: F32, scales: F32, rule: Rule) -> I8:
    """The nearest codes under given scales."""
    divisors = np.where(scales == 0, np.float32(np.inf), scales)
    return np.rint(values / divisors[:, None]).clip(rule.lowest, rule.highest).astype(np.int8)


def check_finite(values: F32, name: str, first_row: int = 0) -> None:
    """Raises ToolError for NaN and infinities; `values` are the rows of a tensor from `first_row` on."""
    if np.isfinite(values).all():
        return
    row, *column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
    at = (first_row + row, *column)
    raise ToolError(
        ErrorCode.NON_FINITE_WEIGHTS, f"{name} holds {values[(row, *column)]} at {at}; expected finite weights. "
        "The checkpoint is damaged or its training diverged: export it again from a sound state.", {"tensor": name})


def decode(payload: bytes | memoryview, dtype: DType, shape: tuple[int, ...]) -> F32:
    """The weights that a payload stands for: f32(code * d), or the f32 values themselves."""
    if dtype is DType.F32:
        return np.frombuffer(payload, "<f4").reshape(shape).astype(np.float32)
    split = code_bytes(dtype, shape)
    codes = _unpacked(np.frombuffer(payload[:split], np.uint8), dtype)
    scales = np.frombuffer(payload[split:], "<f2").astype(np.float32)
    return (codes.reshape(-1, BLOCK_ELEMENTS).astype(np.float32) * scales[:, None]).reshape(shape)


def _packed(codes: I8, dtype: DType) -> bytes:
    """q4_0: two codes a byte, the first in the low nibble."""
    if dtype is DType.Q8_0:
        return codes.tobytes()
    nibbles = codes.reshape(-1).view(np.uint8) & 0x0F
    return (nibbles[0::2] | nibbles[1::2] << 4).tobytes()


def _unpacked(stored: NDArray[np.uint8], dtype: DType) -> I8:
    if dtype is DType.Q8_0:
        return stored.view(np.int8)
    nibbles = np.stack([stored & 0x0F, stored >> 4], axis=-1).reshape(-1)
    return (nibbles ^ 8).astype(np.int8) - np.int8(8)
