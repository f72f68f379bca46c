"""Are the numbers of a payload finite? Answered with byte operations of the standard library, 256 KiB at a time.

An IEEE number is not finite where all bits of its exponent are set. For f32 these are the low 7 bits of byte 3 and the
high bit of byte 2; for f16 bits 2 to 6 of byte 1.
"""

from __future__ import annotations

from tinypylm.config import DType
from tinypylm.format.codes import FormatCode, refusal
from tinypylm.format.tensors import Tensor
from tinypylm.quant import code_bytes
from tinypylm.source import PIECE_BYTES, Source, pieces

_CHUNK_BYTES = 262_144
_F32_TOP_SET = bytes(byte & 0x7F == 0x7F for byte in range(256))
_F32_NEXT_SET = bytes(byte >= 0x80 for byte in range(256))
_F16_SOUND = bytes(byte for byte in range(0x80) if byte & 0x7C != 0x7C)


def check_values(view: Source, tensor: Tensor) -> None:
    """f32 values are finite; f16 scales are finite and have no sign. Raises FormatError.

    Any code is allowed, also those that our encoder never writes: -128 in q8_0, -8 in q4_0, codes under a zero scale.
    """
    start, end = tensor.offset, tensor.offset + tensor.payload_bytes
    if tensor.dtype is DType.F32:
        _check_f32(view, start, end, tensor)
    else:
        start += code_bytes(tensor.dtype, tensor.shape)
        _check_scales(view, start, end, tensor)


def _check_f32(view: Source, start: int, end: int, tensor: Tensor) -> None:
    for number, values in enumerate(pieces(view, start, end)):
        found = first_not_finite(values)
        if found is not None:
            element = number * PIECE_BYTES // 4 + found
            raise refusal(FormatCode.NON_FINITE_VALUE, f"{tensor.name}, element {element}",
                          f"the f32 bits 0x{_f32_bits(values, found):08x}", "a finite number")


def first_not_finite(values: memoryview) -> int | None:
    """The number of an f32 among `values` that is NaN or infinite, or None."""
    for start in range(0, len(values), _CHUNK_BYTES):
        chunk = bytes(values[start : start + _CHUNK_BYTES])
        top = chunk[3::4].translate(_F32_TOP_SET)
        if 1 not in top:
            continue
        both = int.from_bytes(top, "little") & int.from_bytes(chunk[2::4].translate(_F32_NEXT_SET), "little")
        if both:
            return start // 4 + (both.bit_length() - 1) // 8
    return None


def _f32_bits(payload: memoryview, element: int) -> int:
    return int.from_bytes(payload[4 * element : 4 * element + 4], "little")


def _check_scales(view: Source, start: int, end: int, tensor: Tensor) -> None:
    for number, scales in enumerate(pieces(view, start, end)):
        top = bytes(scales)[1::2]
        unsound = top.translate(None, _F16_SOUND)
        if unsound:
            at = top.index(unsound[0])
            block = number * PIECE_BYTES // 2 + at
            code = FormatCode.NON_FINITE_SCALE if unsound[0] & 0x7C == 0x7C else FormatCode.NEGATIVE_SCALE
            bits = int.from_bytes(scales[2 * at : 2 * at + 2], "little")
            raise refusal(code, f"{tensor.name}, scale of block {block}", f"the f16 bits 0x{bits:04x}",
                          "a finite scale without a sign")
