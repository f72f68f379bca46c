"""A tensor in somebody else's file, read a few rows at a time: floats here, ggml's blocks through the package `gguf`.

Nothing of another quantisation is ever copied into a `.slm`: it becomes f32 first, and is encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.gguf_package import gguf_package
from tinypylm_tools.importers.source import Rows
from tinypylm_tools.quantise import F32

_FLOATS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
BLOCKS = {
    "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176), "Q6_K": (256, 210),
}
"""ggml's quantised types: elements of a block, and its bytes."""

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """`shape` elements of type `kind` at byte `start` to `end` of a file."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int

    def rows(self, name: str, rows: Rows) -> F32:
        """Those rows, as f32. Raises ToolError for a type that cannot be read."""
        if self.kind in BLOCKS:
            return _dequantised(self._mapped("u1", self._row_bytes())[rows], self.kind)
        if self.kind not in _FLOATS:
            raise ToolError(
                ErrorCode.UNSUPPORTED_CHECKPOINT, f"{name} is stored as {self.kind}; expected F32, F16 or BF16. "
                "Convert the checkpoint to one of these.", {"tensor": name})
        stored = self._mapped(_FLOATS[self.kind], self.shape)[rows]
        if self.kind == "BF16":
            return (stored.astype("<u4") << 16).view("<f4")
        return stored.astype(np.float32)

    def pieces(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            for start in range(self.start, self.end, _PIECE_BYTES):
                yield file.read(min(_PIECE_BYTES, self.end - start))

    def _mapped(self, dtype: str, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.generic]]:
        return np.memmap(self.path, dtype, "r", self.start, shape)

    def _row_bytes(self) -> tuple[int, ...]:
        elements, size = BLOCKS[self.kind]
        return (*self.shape[:-1], self.shape[-1] // elements * size)


def _dequantised(rows: NDArray[np.generic], kind: str) -> F32:
    """Damaged scales may give NaN or infinities, which packing refuses by the tensor's name."""
    gguf = gguf_package(f"Reading {kind} tensors")
    with np.errstate(all="ignore"):
        values: F32 = gguf.quants.dequantize(np.ascontiguousarray(rows), gguf.GGMLQuantizationType[kind])
    return values
