"""Attention over the cache, against NumPy: groups of heads, lengths, head sizes that fill no vector."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.bench import single
from tests.reference import kernels as reference
from tinypylm.kernels.attention import attend
from tinypylm.kernels.half import halve

POSITIONS = 24


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 23, 24])
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(1, 1, 2), (6, 2, 8), (8, 2, 6), (4, 4, 48), (3, 1, 40)])
def test_attention_is_that_of_numpy(heads: int, kv_heads: int, head_dim: int, length: int,
                                      half: bool) -> None:
    rng = np.random.default_rng(heads * length)
    padded = -(-head_dim // 4) * 4
    bench = single(attend, heads=heads, kv_heads=kv_heads, head_dim=head_dim, padded_dim=padded, positions=POSITIONS,
                   half=half)

    def padded_array(*shape: int) -> np.ndarray:
        out = np.zeros((*shape, padded), np.float32)
        out[..., :head_dim] = rng.standard_normal((*shape, head_dim)) * 2
        return out

    query, keys, values = padded_array(heads), padded_array(kv_heads, POSITIONS), padded_array(kv_heads, POSITIONS)
    if half:
        keys, values = keys.astype(np.float16), values.astype(np.float16)
    keys[:, length:] = 6e4  # what stands behind the last position must not matter
    values[:, length:] = 6e4
    out, scores = bench.place(np.full(heads * head_dim + 4, 7, np.float32)), bench.room(4 * POSITIONS)
    bench.run(out, bench.place(query), bench.place(keys), bench.place(values), scores, length, 0, kv_heads)
    found = bench.read(out, heads * head_dim + 4)
    expected = reference.attend(query[:, :head_dim], keys[:, :length, :head_dim], values[:, :length, :head_dim])
    np.testing.assert_allclose(found[:-4].reshape(heads, head_dim), expected, rtol=2e-5, atol=2e-6)
    assert found[-4:].tolist() == [7] * 4


HALVES = [0.0, -0.0, 1.0, -1.0, 65504.0, -65504.0, 7e4, -1e30, 2.0**-14, -(2.0**-14), 2.0**-14 * (1 - 2.0**-24), 1e-30,
          2.0**-14 * 0.99, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 65519.0, 0.1]


def test_halves_are_those_of_numpy_without_subnormals_and_infinities() -> None:
    rng = np.random.default_rng(5)
    x = np.array([*HALVES, *(rng.standard_normal(2032) * 10.0 ** rng.integers(-6, 6, 2032))], np.float32)
    bench = single(halve, head_dim=x.size, out_stride=x.size)
    out = bench.room(2 * x.size)
    bench.run(out, bench.place(x), 0, 1)
    expected = np.clip(x, -65504, 65504).astype(np.float16)
    expected[np.abs(np.clip(x, -65504, 65504)) < 2.0**-14] = 0
    expected = np.copysign(expected, x).astype(np.float16)
    assert bench.read(out, x.size, np.uint16).tolist() == expected.view(np.uint16).tolist()


def test_only_the_heads_asked_for_are_halved() -> None:
    bench = single(halve, head_dim=8, out_stride=16)
    x = np.arange(24, dtype=np.float32)
    out = bench.place(np.full(48, 7, np.float16))
    bench.run(out, bench.place(x), 1, 2)
    found = bench.read(out, 48, np.float16).reshape(3, 16)
    assert found[1, :8].tolist() == x[8:16].tolist()
    assert (found[[0, 2]] == 7).all()
    assert (found[1, 8:] == 7).all()
