"""How many bytes a tensor takes, and where its scales lie. The encoders are in `tinypylm_tools.quantise`.

A quantised payload is planar: all codes, row-major, then one little-endian f16 scale for each block of 32, row-major.
"""

from __future__ import annotations

from math import prod

from tinypylm.config import DType

BLOCK_ELEMENTS = 32
SCALE_BYTES = 2
_CODE_BITS = {DType.F32: 32, DType.Q8_0: 8, DType.Q4_0: 4}


def code_bytes(dtype: DType, shape: tuple[int, ...]) -> int:
    """Bytes before the scales: the codes of a quantised tensor, or the values of an f32 one."""
    return prod(shape) * _CODE_BITS[dtype] // 8


def payload_bytes(dtype: DType, shape: tuple[int, ...]) -> int:
    """Bytes of the whole payload. Rows of a quantised tensor are a multiple of 32 elements."""
    scales = 0 if dtype is DType.F32 else prod(shape) // BLOCK_ELEMENTS * SCALE_BYTES
    return code_bytes(dtype, shape) + scales


def allows_quantisation(shape: tuple[int, ...]) -> bool:
    """Whether a tensor may be quantised: a matrix whose rows are a multiple of 32 elements."""
    return len(shape) == 2 and shape[-1] % BLOCK_ELEMENTS == 0
