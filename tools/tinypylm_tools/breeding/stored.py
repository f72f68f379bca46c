"""Tensors as files store them: weights by range, and results put back with one rounding to f32 and one encoding.

A block of 32 that comes out exactly as one of the sources stores it is copied byte for byte, so that what does not
change keeps its bytes however its scale was chosen. Without that, a source of searched scales would be requantised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.quant import BLOCK_ELEMENTS, SCALE_BYTES, code_bytes
from tinypylm_tools.breeding.sums import F64, fold
from tinypylm_tools.quantise import F32, decode, encode

AT_ONCE = 1 << 16
"""Elements of a chunk, a multiple of 32: sums over a tensor are taken chunk by chunk."""

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A payload, to be read or written from element to element; `start` and `end` are multiples of 32, or the end."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    payload: memoryview

    @property
    def elements(self) -> int:
        return prod(self.shape)

    def values(self, start: int, end: int) -> F32:
        """The weights start..end, flat."""
        return decode(self.pieces(start, end), self.dtype, (end - start,))

    def pieces(self, start: int, end: int) -> bytes:
        """Codes and scales of the elements start..end, as the payload of a tensor of that length."""
        codes, scales = self._places(start, end)
        return bytes(self.payload[codes]) + bytes(self.payload[scales])

    def put(self, start: int, end: int, pieces: bytes | memoryview) -> None:
        """Writes what `pieces` reads."""
        codes, scales = self._places(start, end)
        split = codes.stop - codes.start
        self.payload[codes] = pieces[:split]
        self.payload[scales] = pieces[split:]

    def _places(self, start: int, end: int) -> tuple[slice, slice]:
        first, last = code_bytes(self.dtype, (start,)), code_bytes(self.dtype, (end,))
        if self.dtype is DType.F32:
            return slice(first, last), slice(last, last)
        base = code_bytes(self.dtype, self.shape)
        return slice(first, last), slice(
            base + start // BLOCK_ELEMENTS * SCALE_BYTES, base + end // BLOCK_ELEMENTS * SCALE_BYTES)


@dataclass(slots=True)
class StoringLoss:
    """What storing a result cost: codes (f32: values) unlike those of the first source, and errors against f64."""

    changed: int = 0
    largest: float = 0.0
    squares: float = 0.0
    elements: int = 0

    @property
    def rms(self) -> float:
        return sqrt(self.squares / self.elements) if self.elements else 0.0


def store(ideal: F64, start: int, sources: Sequence[StoredTensor], child: StoredTensor, loss: StoringLoss) -> None:
    """Puts `ideal`, the elements from `start` on, into `child`. Raises ToolError where it has no encoding."""
    end = start + ideal.size
    with np.errstate(over="ignore", under="ignore"):
        values = ideal.astype("<f4")
    _check_finite(values, child.name, start)
    pieces = np.frombuffer(bytearray(_encoded(values, child)), np.uint8)
    for source in reversed(sources):
        _copy_equal(pieces, values, source, start, end)
    child.put(start, end, pieces.data)
    difference = np.abs(child.values(start, end) - ideal)
    loss.changed += _changed(pieces, sources[0].pieces(start, end), child.dtype, end - start)
    loss.largest = max(loss.largest, float(difference.max()))
    loss.squares += fold(np.square(difference))
    loss.elements += ideal.size


def _encoded(values: F32, child: StoredTensor) -> bytes:
    blocks = values if child.dtype is DType.F32 else values.reshape(-1, BLOCK_ELEMENTS)
    return encode(blocks, child.dtype, child.name)


def _copy_equal(pieces: U8, values: F32, source: StoredTensor, start: int, end: int) -> None:
    """The bytes of those blocks of `source` (f32: elements) that stand for the very numbers in `values`.

    f32 is not spared this: 0 equals -0, whose bytes differ.
    """
    width = 1 if source.dtype is DType.F32 else BLOCK_ELEMENTS
    equal = (source.values(start, end) == values).reshape(-1, width).all(axis=1)
    if equal.any():
        split = code_bytes(source.dtype, values.shape)
        stored = np.frombuffer(source.pieces(start, end), np.uint8)
        for part in (slice(0, split), slice(split, None)):
            if pieces[part].size:
                pieces[part].reshape(equal.size, -1)[equal] = stored[part].reshape(equal.size, -1)[equal]


def _changed(pieces: U8, before: bytes, dtype: DType, elements: int) -> int:
    """How many codes differ; scales do not count."""
    split = code_bytes(dtype, (elements,))
    differing = pieces[:split] ^ np.frombuffer(before[:split], np.uint8)
    if dtype is DType.F32:
        return int(np.count_nonzero(differing.view("<u4")))
    if dtype is DType.Q8_0:
        return int(np.count_nonzero(differing))
    return int(np.count_nonzero(differing & 0x0F) + np.count_nonzero(differing & 0xF0))


def _check_finite(values: F32, name: str, start: int) -> None:
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ToolError(
            ErrorCode.NON_FINITE_WEIGHTS, f"{name} would hold {values[at]} at element {start + at}; expected finite "
            "weights. The weights given to the parents are too large: lower --weight-ppm.", {"tensor": name})
