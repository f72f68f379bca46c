"""Matrix products against NumPy, over sizes, tails and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.bench import Workbench, single
from tests.reference import kernels as reference
from tinypylm.config import DType
from tinypylm.kernels import linear

TOKENS, ROOM = 4, 4096  # tokens of a batch; bytes between their vectors


def pack(codes: np.ndarray, dtype: DType) -> np.ndarray:
    """Codes as the file stores them."""
    flat = codes.reshape(-1).astype(np.int8).view(np.uint8)
    return flat if dtype is DType.Q8_0 else (flat[0::2] & 15) | (flat[1::2] & 15) << 4


class Product:
    """A matrix of one type, activations in the order that its kernel reads, and the exact answer."""

    def __init__(self, dtype: DType, rows: int, cols: int, seed: int, byte_dots: bool = False):
        rng = np.random.default_rng(seed)
        self.dtype, self.rows, self.cols, self.byte_dots = dtype, rows, cols, byte_dots
        if dtype is DType.F32:
            self.weights = rng.standard_normal((rows, cols)).astype(np.float32)
            self.x = rng.standard_normal((TOKENS, cols)).astype(np.float32)
            self.planes, self.values = [self.weights], self.x.astype(np.float64)
            return
        low, high = (-127, 127) if dtype is DType.Q8_0 else (-8, 7)
        codes = rng.integers(low, high + 1, (rows, cols))
        scales = rng.random((rows, cols // 32)).astype(np.float16) * np.float16(0.01)
        scales[0, 0] = np.float16(3e-7)  # subnormal
        scales[-1, -1] = 0
        self.planes = [pack(codes, dtype), scales]
        self.weights = (codes.reshape(rows, -1, 32) * scales.astype(np.float64)[..., None]).reshape(rows, cols)
        quantised = [reference.quantise(rng.standard_normal(cols).astype(np.float32), dtype) for _ in range(TOKENS)]
        self.values = np.stack([c.astype(np.float64) * s for c, s in quantised])
        self.scales = np.array([s for _, s in quantised], np.float32)
        order = reference.byte_blocks if byte_dots else reference.q4_order
        self.x = np.stack([c if dtype is DType.Q8_0 else order(c) for c, _ in quantised])

    def run(self, kernel: str, rows_at_once: int, accumulate: bool = False, split: int | None = None) -> np.ndarray:
        """out[token, row], of one token for `matvec`; `split` computes the rows in two calls."""
        bench = Workbench()
        shape = {"dtype": self.dtype, "cols": self.cols, "accumulate": accumulate}
        strides = {"out_stride": ROOM, "x_stride": ROOM, "scale_stride": 64}
        if kernel == "matvec":
            bench.add(linear.matvec, rows_at_once=rows_at_once, byte_dots=self.byte_dots, **shape)
        else:
            bench.add(linear.matmul, tokens=TOKENS, **strides, **shape)
        bench.start()
        w = [bench.place(plane) for plane in self.planes]
        x = bench.place(self._spread(self.x))
        x_scale = bench.place(self._spread(self.scales.reshape(-1, 1), 64)) if self.dtype is not DType.F32 else 0
        out = bench.place(np.ones(TOKENS * ROOM // 4, np.float32))
        middle = self.rows if split is None else split
        for first, end in ((0, middle), (middle, self.rows)):
            bench.run(out, w[0], w[-1], x, x_scale, first, end)
        rows = bench.read(out, TOKENS * ROOM // 4).reshape(TOKENS, -1)[:, :self.rows]
        return rows[:1] if kernel == "matvec" else rows

    @staticmethod
    def _spread(rows: np.ndarray, stride: int = ROOM) -> np.ndarray:
        out = np.zeros((len(rows), stride // rows.itemsize), rows.dtype)
        out[:, :rows.shape[1]] = rows
        return out

    def expected(self) -> np.ndarray:
        return np.stack([reference.matvec(self.weights, v) for v in self.values])


SHAPES = [(DType.F32, 5, 7), (DType.F32, 1, 1), (DType.F32, 9, 64), (DType.F32, 4, 173)] + [
    (dtype, rows, cols) for dtype in (DType.Q8_0, DType.Q4_0) for rows, cols in
    ((1, 32), (3, 64), (8, 96), (5, 128), (7, 160), (2, 288), (33, 512))]


@pytest.mark.parametrize("kernel", ["matvec", "matmul"])
@pytest.mark.parametrize(("dtype", "rows", "cols"), SHAPES)
def test_a_product_is_that_of_numpy(kernel: str, dtype: DType, rows: int, cols: int) -> None:
    product = Product(dtype, rows, cols, seed=rows * cols)
    out, expected = product.run(kernel, rows_at_once=2), product.expected()
    np.testing.assert_allclose(out, expected[:len(out)], rtol=3e-6, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", list(DType))
def test_a_tokens_bits_do_not_depend_on_how_it_is_computed(dtype: DType) -> None:
    product = Product(dtype, rows=11, cols=288, seed=1)
    batch = product.run("matmul", rows_at_once=1)
    for rows_at_once in (1, 2, 4):
        np.testing.assert_array_equal(product.run("matvec", rows_at_once), batch[:1])
    np.testing.assert_array_equal(product.run("matvec", 4, split=3), batch[:1])
    np.testing.assert_array_equal(product.run("matmul", 1, split=6), batch)


@pytest.mark.parametrize(("rows", "cols"), [(2, 32), (3, 64), (8, 96), (7, 160), (11, 288), (33, 512), (5, 1376)])
def test_products_of_bytes_have_the_same_bits(rows: int, cols: int) -> None:
    pairs, of_bytes = (Product(DType.Q4_0, rows, cols, rows * cols, byte_dots) for byte_dots in (False, True))
    expected = pairs.run("matvec", 2)
    assert expected.any()
    for rows_at_once in (1, 2, 4):
        np.testing.assert_array_equal(of_bytes.run("matvec", rows_at_once), expected)
        np.testing.assert_array_equal(of_bytes.run("matvec", rows_at_once, accumulate=True), np.float32(1) + expected)


@pytest.mark.parametrize("dtype", list(DType))
def test_an_accumulating_product_adds_to_what_stands_there(dtype: DType) -> None:
    product = Product(dtype, rows=6, cols=64, seed=2)
    for kernel in ("matvec", "matmul"):
        plain = product.run(kernel, 2)
        np.testing.assert_array_equal(product.run(kernel, 2, accumulate=True), np.float32(1) + plain)


@pytest.mark.parametrize(("first", "end"), [(0, 1), (0, 4), (0, 11), (3, 10), (2, 2)])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_bias_is_put_or_added_in_its_rows_only(accumulate: bool, first: int, end: int) -> None:
    rng = np.random.default_rng(first + end)
    before, values = rng.standard_normal((2, 12)).astype(np.float32)
    bench = single(linear.bias, accumulate=accumulate)
    out = bench.place(before)
    bench.run(out, bench.place(values), first, end)
    expected = before.copy()
    expected[first:end] = values[first:end] + (before[first:end] if accumulate else 0)
    np.testing.assert_array_equal(bench.read(out, 12), expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [DType.Q8_0, DType.Q4_0])
def test_extreme_codes_do_not_overflow(dtype: DType, seed: int) -> None:
    product = Product(dtype, rows=2, cols=96, seed=seed)
    largest = -128 if dtype is DType.Q8_0 else -8
    product.planes[0] = pack(np.full((2, 96), largest), dtype)
    product.planes[1] = np.ones((2, 3), np.float16)
    product.weights = np.full((2, 96), float(largest))
    product.x[:] = -reference.LARGEST_CODE[dtype]
    product.scales[:] = 1
    product.values = product.x.astype(np.float64)
    np.testing.assert_allclose(product.run("matmul", 1), product.expected(), rtol=1e-6)
