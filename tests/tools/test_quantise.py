"""q8_0 and q4_0 against the format's words, computed one weight at a time in another way."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.quant import payload_bytes
from tinypylm_tools.quantise import F32, decode, encode

TINY = 2.0**-20
WEIGHTS = arrays(np.float32, (2, 64), elements=st.floats(-6e4, 6e4, width=32) | st.floats(-TINY, TINY, width=32))
RULES = {DType.Q8_0: (127, -127, 127), DType.Q4_0: (7, -8, 7)}


def f32(value: Fraction) -> float:
    """The nearest f32. The double in between is exact enough for struct to round the true quotient."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def by_definition(block: list[float], dtype: DType) -> tuple[bytes, list[int]]:
    """The f16 scale and the codes of 32 weights."""
    divisor, lowest, highest = RULES[dtype]
    stored = struct.pack("<e", f32(Fraction(max(map(abs, block))) / divisor))
    scale = struct.unpack("<e", stored)[0]
    if scale == 0:
        return stored, [0] * 32
    return stored, [max(lowest, min(highest, round(f32(Fraction(w) / Fraction(scale))))) for w in block]


@pytest.mark.parametrize("dtype", RULES)
@given(weights=WEIGHTS)
def test_codes_and_scales_are_those_of_the_definition(dtype: DType, weights: F32) -> None:
    payload = encode(weights, dtype, "w")
    blocks = [by_definition([float(w) for w in block], dtype) for block in weights.reshape(-1, 32)]
    codes = [code & 0xFF for _, block in blocks for code in block]
    if dtype is DType.Q4_0:
        codes = [a & 0x0F | (b & 0x0F) << 4 for a, b in zip(codes[0::2], codes[1::2], strict=True)]
    assert payload == bytes(codes) + b"".join(scale for scale, _ in blocks)


def test_a_q8_0_block_is_these_bytes() -> None:
    weights = np.zeros((1, 32), np.float32)
    weights[0, :6] = [127, -127, 0.5, 1.5, 2.5, -63.5]
    assert encode(weights, DType.Q8_0, "w") == bytes([127, 129, 0, 2, 2, 192]) + bytes(26) + b"\x00\x3c"


def test_a_q4_0_block_has_its_first_weight_in_the_low_nibble() -> None:
    weights = np.zeros((1, 32), np.float32)
    weights[0, :4] = [7, -7, 1, -1]
    assert encode(weights, DType.Q4_0, "w") == bytes([0x97, 0xF1]) + bytes(14) + b"\x00\x3c"


@pytest.mark.parametrize(("dtype", "bytes_per_weight"), [(DType.F32, 4), (DType.Q8_0, 1.0625), (DType.Q4_0, 0.5625)])
def test_a_weight_takes_as_many_bytes_as_the_format_says(dtype: DType, bytes_per_weight: float) -> None:
    payload = encode(np.ones((96, 64), np.float32), dtype, "w")
    assert len(payload) == payload_bytes(dtype, (96, 64)) == 96 * 64 * bytes_per_weight


@pytest.mark.parametrize("dtype", RULES)
def test_a_block_whose_scale_rounds_to_zero_becomes_zeros(dtype: DType) -> None:
    weights = np.full((1, 32), 2.0**-25, np.float32)
    assert not any(encode(weights, dtype, "w"))


@pytest.mark.parametrize("dtype", RULES)
def test_decoding_is_code_times_scale_and_no_further_off_than_half_a_step(dtype: DType) -> None:
    weights = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    back = decode(encode(weights, dtype, "w"), dtype, weights.shape)
    steps = np.abs(weights.reshape(-1, 32)).max(axis=1) / RULES[dtype][0]
    assert (np.abs(weights - back).reshape(-1, 32) <= steps[:, None] * 0.505).all()


@pytest.mark.parametrize("dtype", DType)
def test_what_was_decoded_encodes_to_weights_that_are_the_same(dtype: DType) -> None:
    weights = np.random.default_rng(1).standard_normal((8, 64)).astype(np.float32)
    once = decode(encode(weights, dtype, "w"), dtype, weights.shape)
    twice = decode(encode(once, dtype, "w"), dtype, weights.shape)
    np.testing.assert_allclose(twice, once, rtol=1e-3)


def test_every_code_decodes() -> None:
    q8 = decode(bytes(range(256)) + b"\x00\x40" * 8, DType.Q8_0, (8, 32))
    assert q8.reshape(-1).tolist() == [2.0 * (code if code < 128 else code - 256) for code in range(256)]
    q4 = decode(bytes(range(256)) + b"\x00\x3c" * 16, DType.Q4_0, (16, 32))
    nibbles = [nibble for byte in range(256) for nibble in (byte & 15, byte >> 4)]
    assert q4.reshape(-1).tolist() == [float(n if n < 8 else n - 16) for n in nibbles]


def test_the_error_of_q4_0_is_13_percent_above_the_rule_that_uses_all_16_codes() -> None:
    """That rule divides by the signed weight of largest magnitude / -8."""
    weights = np.random.default_rng(2).standard_normal((512, 32)).astype(np.float32)
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=1, keepdims=True), axis=1)
    other = np.rint(weights / (largest / -8)).clip(-8, 7) * (largest / -8)
    ours = decode(encode(weights, DType.Q4_0, "w"), DType.Q4_0, weights.shape)
    ratio = np.sqrt(np.square(weights - ours).mean() / np.square(weights - other).mean())
    assert 1.10 < ratio < 1.16


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_with_their_place(dtype: DType, value: float) -> None:
    weights = np.zeros((2, 32), np.float32)
    weights[1, 3] = value
    with pytest.raises(ToolError, match=r"wq of layer 3 holds (nan|inf|-inf) at \(1, 3\)") as refused:
        encode(weights, dtype, "wq of layer 3")
    assert refused.value.code is ErrorCode.NON_FINITE_WEIGHTS


@pytest.mark.parametrize(("dtype", "largest"), [(DType.Q8_0, 65504 * 127), (DType.Q4_0, 65504 * 7)])
def test_a_block_too_large_for_an_f16_scale_is_refused_by_name(dtype: DType, largest: int) -> None:
    weights = np.zeros((1, 32), np.float32)
    weights[0, 0] = largest
    encode(weights, dtype, "w_up of layer 0")
    weights[0, 0] = largest * 1.01
    with pytest.raises(ToolError, match="w_up of layer 0") as refused:
        encode(weights, dtype, "w_up of layer 0")
    assert refused.value.code is ErrorCode.SCALE_OVERFLOW
