"""Blocks changed in place, against the packer itself: the same codes and the same f16 scales, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.bench import Workbench
from tinypylm.config import DType, Role
from tinypylm.errors import AdapterError
from tinypylm.format import Tensor
from tinypylm.kernels import requantise
from tinypylm_tools.adapters.changes import changed_payload
from tinypylm_tools.quantise import encode

QUANTISED = [DType.Q8_0, DType.Q4_0]
F32_BITS = st.integers(0, 0xFFFF_FFFF)


def bench_of(dtype: DType) -> Workbench:
    bench = Workbench()
    for body in (requantise.survey, requantise.change, requantise.restore):
        bench.add(body, body.__name__, dtype=dtype)
    bench.start()
    return bench


BENCHES = {dtype: bench_of(dtype) for dtype in DType}


def changed(payload: bytes, update: np.ndarray, s: float, dtype: DType) -> tuple[bytes | None, bytes]:
    """The payload after `change`, or None where `survey` refuses it; and the payload after `restore`."""
    bench, width = BENCHES[dtype], requantise.BLOCK_ELEMENTS[dtype]
    bench._next = 64
    blocks = update.size // width
    at = bench.place(np.frombuffer(payload, np.uint8))
    scales, u = at + requantise.BLOCK_BYTES[dtype] * blocks, bench.place(update)
    seen, log = bench.place(np.zeros(blocks, np.uint8)), bench.room(blocks * requantise.record_bytes(dtype))
    end = bench.run(at, scales, u, seen, log, 0, blocks, s, name="survey")
    assert bytes(bench.read(at, len(payload), np.uint8)) == payload
    if not end:
        return None, payload
    bench.run(at, scales, u, blocks, s, name="change")
    after = bytes(bench.read(at, len(payload), np.uint8))
    bench.run(at, scales, log, (int(end) - log) // requantise.record_bytes(dtype), name="restore")
    return after, bytes(bench.read(at, len(payload), np.uint8))


def expected(payload: bytes, update: np.ndarray, s: float, dtype: DType) -> bytes | None:
    tensor = Tensor(Role.WQ, 0, dtype, (1, update.size), 0, len(payload), 0)
    try:
        with np.errstate(all="ignore"):
            return changed_payload(payload, tensor, (update * np.float32(s)).reshape(-1))
    except AdapterError:
        return None


def check(weights: np.ndarray, update: np.ndarray, s: float, dtype: DType) -> None:
    payload = encode(weights, dtype, "w")
    after, restored = changed(payload, update, s, dtype)
    assert after == expected(payload, update, s, dtype)
    assert restored == payload


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("magnitude", [1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3, 1, 1e3, 1e5])
def test_random_blocks_of_any_magnitude_are_those_of_the_packer(dtype: DType, magnitude: float) -> None:
    rng = np.random.default_rng(int(-np.log10(magnitude) + 20))
    weights, update = ((rng.standard_normal((64, 32)) * magnitude).astype(np.float32) for _ in range(2))
    update[rng.random(64) < 0.3] = 0
    update[rng.random((64, 32)) < 0.5] = 0
    check(weights, update, 0.7, dtype)


@pytest.mark.parametrize("dtype", QUANTISED)
def test_scales_at_every_border_of_f16_are_rounded_as_numpy_rounds_them(dtype: DType) -> None:
    """Largest weights whose scale lies on, between and beside halves: normal, subnormal, and next to nothing."""
    divisor = requantise._DIVISOR[dtype]
    halves = np.arange(0, 0x7C00, 7, dtype=np.uint16).view(np.float16).astype(np.float32)
    following = (np.arange(0, 0x7C00, 7, dtype=np.uint16) + 1).view(np.float16).astype(np.float32)
    middles = (halves + following) / 2
    scales = np.concatenate([halves, middles, np.nextafter(middles, np.float32(0)), np.nextafter(middles, np.inf)])
    scales = scales[np.isfinite(scales) & (scales < 65_519)].astype(np.float32)
    update = np.zeros((len(scales), 32), np.float32)
    update[:, 3] = scales * np.float32(divisor)
    update[:, 9] = -update[:, 3] / 2
    update = update[(update != 0).any(axis=1) & np.isfinite(update).all(axis=1)]
    check(np.zeros(update.shape, np.float32), update, 1.0, dtype)


@pytest.mark.parametrize("dtype", QUANTISED)
@pytest.mark.parametrize("value", [65_519.0, 65_520.0, 65_536.0, 1e30, np.inf, np.nan])
def test_a_scale_over_the_largest_f16_is_refused_before_anything_changes(dtype: DType, value: float) -> None:
    update = np.zeros((2, 32), np.float32)
    update[1, 31] = np.float32(value) * np.float32(requantise._DIVISOR[dtype])
    after, _ = changed(encode(np.ones((2, 32), np.float32), dtype, "w"), update, 1.0, dtype)
    assert (after is None) is (not value < 65_520)


@pytest.mark.parametrize("value", [3.4e38, np.inf, np.nan])
def test_an_f32_weight_that_overflows_is_refused(value: float) -> None:
    update = np.zeros((2, 32), np.float32)
    update[1, 5] = value
    assert changed(np.full((2, 32), 3e38, "<f4").tobytes(), update, 1.0, DType.F32)[0] is None


def test_a_minus_zero_that_nothing_changes_stays_one() -> None:
    update = np.zeros((1, 32), np.float32)
    update[0, 0] = 1
    payload = np.full((1, 32), -0.0, "<f4").tobytes()
    after, _ = changed(payload, update, 1.0, DType.F32)
    assert after == np.float32(1).tobytes() + payload[4:]


@pytest.mark.parametrize("dtype", QUANTISED)
def test_halfway_codes_go_to_the_even_one(dtype: DType) -> None:
    update = np.arange(32, dtype=np.float32)[None] / 2 - 8
    update[0, 0] = requantise._DIVISOR[dtype]
    check(np.zeros((1, 32), np.float32), update, 1.0, dtype)


BLOCK = st.lists(F32_BITS, min_size=32, max_size=32)


@given(BLOCK, BLOCK, st.sampled_from(DType))
def test_blocks_of_any_bits_are_those_of_the_packer_or_refused_as_there(
    weights: list[int], update: list[int], dtype: DType
) -> None:
    old = np.array(weights, np.uint32).view(np.float32)
    old = np.where(np.isfinite(old), np.clip(old, -1e5, 1e5), 0).astype(np.float32)
    check(old[None], np.array(update, np.uint32).view(np.float32)[None], 0.5, dtype)


@pytest.mark.parametrize("columns", [1, 3, 4, 7, 32, 37])
@pytest.mark.parametrize("rank", [1, 3, 4, 5, 9])
def test_factors_are_multiplied_rank_by_rank_from_any_element_on(columns: int, rank: int) -> None:
    bench = Workbench()
    bench.add(requantise.low_rank)
    bench.start()
    rng = np.random.default_rng(columns)
    a, b = rng.standard_normal((rank, columns)).astype(np.float32), rng.standard_normal((9, rank)).astype(np.float32)
    twin = np.zeros((9, columns), np.float32)
    for r in range(rank):
        twin += b[:, r, None] * a[r]
    first, count = min(columns + 1, 9 * columns - 1), 7 * columns
    row, column = divmod(first, columns)
    count = min(count, 9 * columns - first)
    out = bench.place(np.zeros(count, np.float32))
    bench.run(out, bench.place(a), bench.place(b) + 4 * rank * row, columns, 4 * rank, rank, column, count)
    np.testing.assert_array_equal(bench.read(out, count), twin.reshape(-1)[first : first + count])
