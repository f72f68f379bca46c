"""Attention over the cache, against NumPy: groups of heads, lengths, head sizes that fill no vector."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.bench import single
from tests.reference import kernels as reference
from tinypylm.kernels.attention import attend

POSITIONS = 24


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 23, 24])
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(1, 1, 2), (6, 2, 8), (8, 2, 6), (4, 4, 48), (3, 1, 40)])
def test_attention_is_that_of_numpy(heads: int, kv_heads: int, head_dim: int, length: int) -> None:
    rng = np.random.default_rng(heads * length)
    padded = -(-head_dim // 4) * 4
    bench = single(attend, heads=heads, kv_heads=kv_heads, head_dim=head_dim, padded_dim=padded, positions=POSITIONS)

    def padded_array(*shape: int) -> np.ndarray:
        out = np.zeros((*shape, padded), np.float32)
        out[..., :head_dim] = rng.standard_normal((*shape, head_dim)) * 2
        return out

    query, keys, values = padded_array(heads), padded_array(kv_heads, POSITIONS), padded_array(kv_heads, POSITIONS)
    keys[:, length:] = 1e30  # what stands behind the last position must not matter
    values[:, length:] = 1e30
    out, scores = bench.place(np.full(heads * head_dim + 4, 7, np.float32)), bench.room(4 * POSITIONS)
    bench.run(out, bench.place(query), bench.place(keys), bench.place(values), scores, length, 0, kv_heads)
    found = bench.read(out, heads * head_dim + 4)
    expected = reference.attend(query[:, :head_dim], keys[:, :length, :head_dim], values[:, :length, :head_dim])
    np.testing.assert_allclose(found[:-4].reshape(heads, head_dim), expected, rtol=2e-5, atol=2e-6)
    assert found[-4:].tolist() == [7] * 4
