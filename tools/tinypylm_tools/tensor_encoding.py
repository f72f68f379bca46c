"""One tensor from a source into its place in a file, a few rows at a time, with the error that this makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from tinypylm.config import DType, TensorSpec
from tinypylm.format import tensor_name
from tinypylm.quant import code_bytes, payload_bytes
from tinypylm_tools.importers.source import ReadRows, Rows
from tinypylm_tools.quantise import F32, check_finite, decode

Encode = Callable[[F32, DType, str], bytes]
"""(rows of a matrix, type, the tensor's name) to their payload."""

_ELEMENTS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class TensorError:
    """How far a stored tensor is from its source: root mean square and largest difference."""

    spec: TensorSpec
    dtype: DType
    rmse: float
    max_error: float


def encode_into(payload: memoryview, spec: TensorSpec, dtype: DType, read: ReadRows, encode: Encode) -> TensorError:
    """Fills `payload` with the tensor as `dtype`. Raises ToolError for weights that have no payload."""
    name = tensor_name(spec.role, spec.layer)
    squares, largest = 0.0, 0.0
    for rows in _row_groups(spec.shape):
        values = np.ascontiguousarray(read(spec, rows), "<f4")
        check_finite(values, name, int(rows[0]))
        part = values.tobytes() if dtype is DType.F32 else encode(values, dtype, name)
        _put_rows(payload, part, dtype, spec.shape, rows)
        difference = np.abs(values - decode(part, dtype, values.shape)).astype(np.float64)
        squares, largest = squares + float(np.square(difference).sum()), max(largest, float(difference.max()))
    return TensorError(spec, dtype, sqrt(squares / prod(spec.shape)), largest)


def _row_groups(shape: tuple[int, ...]) -> Iterator[Rows]:
    """Row numbers, in groups that keep what is computed from one of them small."""
    at_once = max(1, _ELEMENTS_AT_ONCE // prod(shape[1:]))
    for first in range(0, shape[0], at_once):
        yield np.arange(first, min(first + at_once, shape[0]))


def _put_rows(payload: memoryview, part: bytes, dtype: DType, shape: tuple[int, ...], rows: Rows) -> None:
    """Codes and scales of these rows into the places that they have among those of the whole tensor."""
    before, these = (int(rows[0]), *shape[1:]), (len(rows), *shape[1:])
    codes, split = code_bytes(dtype, before), code_bytes(dtype, these)
    scales = code_bytes(dtype, shape) + payload_bytes(dtype, before) - codes
    payload[codes : codes + split] = part[:split]
    payload[scales : scales + len(part) - split] = part[split:]
