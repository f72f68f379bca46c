"""The KV cache in f16: half the memory, nearly the same logits, and the same bits wherever it runs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.models import all_logits, config, parsed, random_file
from tinypylm.config import DType, Family
from tinypylm.engine import Engine
from tinypylm.errors import OptionError
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache, plan_memory

IDS = np.random.default_rng(4).integers(0, 259, 37).tolist()
SHAPES = {"grouped": {"n_heads": 6, "n_kv_heads": 2, "head_dim": 32},
          "gpt-neox": {"family": Family.GPT_NEOX, "n_kv_heads": 4, "parallel_residual": True}}


def loaded(data: bytes, kv_cache: KVCache, threads: int = 1) -> Engine:
    return Engine.load(parsed(data), data, NativeHost(threads), kv_cache)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_takes_half_of_the_memory_and_changes_little(shape: str) -> None:
    data = random_file(config(quantization=DType.F32, **SHAPES[shape]))
    full, half = loaded(data, KVCache.F32), loaded(data, KVCache.F16)
    assert 2 * half.plan.kv_cache_bytes == full.plan.kv_cache_bytes
    expected, found = all_logits(full, IDS), all_logits(half, IDS)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 0 < difference < 2e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_and_chunks_change_no_bit_of_it(shape: str) -> None:
    data = random_file(config(quantization=DType.Q4_0, **SHAPES[shape]))
    alone = all_logits(loaded(data, KVCache.F16), IDS)
    for threads in (1, 2, 3):
        engine = loaded(data, KVCache.F16, threads)
        for position in range(0, len(IDS), 16):
            engine.prefill(IDS[position:position + 16], position)
        assert engine.logits() == alone[-1].tobytes()
        engine.free()


def test_heads_that_fill_no_vector_are_refused_by_name() -> None:
    shape = config(n_heads=3, n_kv_heads=1, head_dim=6)
    with pytest.raises(OptionError, match="kv_cache is f16, which needs a head_dim that 8 divides; this model's is 6"):
        plan_memory(shape, 1000, KVCache.F16)
