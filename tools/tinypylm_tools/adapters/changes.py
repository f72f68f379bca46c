"""What a package's entry does to a tensor, in NumPy: the definition that the compiled code is held to.

    ADP1: u = delta * s    ASP1: the same, 0 elsewhere    ALR1: u = s * sum_r B[:, r] A[r, :], r ascending; all in f32
    w' = f32(w + u) for every block in which some u is not 0, quantised again by `quantise.encode`; others stay
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.adapters.entries import Entry, PackageFormat
from tinypylm.adapters.package import Package
from tinypylm.config import DType
from tinypylm.format import Tensor
from tinypylm.quant import BLOCK_ELEMENTS, code_bytes
from tinypylm_tools import quantise
from tinypylm_tools.adapters.writer import Change, Dense, LowRank, Sparse
from tinypylm_tools.quantise import F32

_PAIR = np.dtype([("index", "<u8"), ("delta", "<f4")])


def changes(package: Package) -> list[Change]:
    """The entries as arrays."""
    return [change(entry, package.format) for entry in package.entries]


def change(entry: Entry, kind: PackageFormat) -> Change:
    """One entry's numbers. A vector's change has the shape (length, 1)."""
    if kind is PackageFormat.ASP1:
        pairs = np.frombuffer(entry.payload, _PAIR)
        return Sparse(entry.role, entry.layer, (entry.rows, entry.columns), pairs["index"].astype(np.int64),
                      pairs["delta"].astype(np.float32))
    values = np.frombuffer(entry.payload, "<f4").astype(np.float32)
    if kind is PackageFormat.ADP1:
        return Dense(entry.role, entry.layer, values.reshape(entry.rows, entry.columns))
    split = entry.rank * entry.columns
    return LowRank(entry.role, entry.layer, values[:split].reshape(entry.rank, entry.columns),
                   values[split:].reshape(entry.rows, entry.rank))


def update(what: Change, s: float) -> F32:
    """u, f32[elements], row by row."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if isinstance(what, Sparse):
            out = np.zeros(prod(what.shape), np.float32)
            out[what.indices] = what.deltas * np.float32(s)
            return out
        if isinstance(what, Dense):
            return (what.delta * np.float32(s)).reshape(-1)
        total = np.zeros((what.b.shape[0], what.a.shape[1]), np.float32)
        for r in range(what.a.shape[0]):
            total += what.b[:, r, None] * what.a[r]
        return (total * np.float32(s)).reshape(-1)


def changed_payload(payload: bytes | memoryview, tensor: Tensor, u: F32) -> bytes:
    """The tensor's payload after its update. Raises AdapterError (AdapterResultOverflow)."""
    with np.errstate(over="ignore", under="ignore"):
        old = quantise.decode(payload, tensor.dtype, tensor.shape).reshape(-1)
        new = np.where(u != 0, old + u, old)
    if tensor.dtype is DType.F32:
        _check_finite(new, tensor)
        return new.astype("<f4").tobytes()
    touched = (u.reshape(-1, BLOCK_ELEMENTS) != 0).any(axis=1)
    values = new.reshape(-1, BLOCK_ELEMENTS)[touched]
    _check_finite(values, tensor)
    with np.errstate(over="ignore"):
        scales = np.abs(values).max(axis=1, initial=0) / np.float32(quantise.RULES[tensor.dtype].divisor)
        _check_finite(scales.astype(np.float16), tensor)
    return _with_blocks(payload, tensor, touched, quantise.encode(values, tensor.dtype, tensor.name))


def _with_blocks(payload: bytes | memoryview, tensor: Tensor, touched: NDArray[np.bool_], blocks: bytes) -> bytes:
    """The payload with the codes and scales of some blocks replaced."""
    split, count = code_bytes(tensor.dtype, tensor.shape), int(touched.sum())
    out = np.frombuffer(payload, np.uint8).copy()
    new = np.frombuffer(blocks, np.uint8)
    per_block = split // len(touched)
    out[:split].reshape(-1, per_block)[touched] = new[: count * per_block].reshape(-1, per_block)
    out[split:].reshape(-1, 2)[touched] = new[count * per_block :].reshape(-1, 2)
    return out.tobytes()


def _check_finite(values: NDArray[np.floating], tensor: Tensor) -> None:
    if not np.isfinite(values).all():
        raise refusal(AdapterCode.RESULT_OVERFLOW, tensor.name, "a changed weight that its type cannot hold",
                      f"weights, and scales of blocks, that {tensor.dtype.label} can hold",
                      "Apply it with a smaller scale.")
