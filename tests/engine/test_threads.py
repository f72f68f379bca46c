"""Threads share the work and change no bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.engine.models import config, parsed, random_file, stepped_and_chunked
from tinypylm.config import DType, Family
from tinypylm.engine import Engine, emit
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import MAX_THREADS, plan_memory

IDS = np.random.default_rng(3).integers(0, 259, 37).tolist()
SHAPES = {
    "grouped 3:1": {"n_heads": 6, "n_kv_heads": 2, "head_dim": 32},
    "fewer heads than threads": {"n_heads": 1, "n_kv_heads": 1, "head_dim": 64},
    "odd sizes": {"n_heads": 3, "n_kv_heads": 1, "head_dim": 6, "ffn_size": 37, "vocab_size": 301},
    "gpt-neox, parallel": {"family": Family.GPT_NEOX, "n_kv_heads": 4, "parallel_residual": True},
    "gpt-neox, sequential": {"family": Family.GPT_NEOX, "n_kv_heads": 4},
}


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("shape", SHAPES)
def test_any_number_of_threads_gives_the_same_bits(shape: str, dtype: DType) -> None:
    data = random_file(config(quantization=dtype, **SHAPES[shape]))
    alone, _ = stepped_and_chunked(data, NativeHost(1), IDS)
    for threads in range(2, MAX_THREADS + 1):
        stepped, chunked = stepped_and_chunked(data, NativeHost(threads), IDS)
        np.testing.assert_array_equal(stepped, alone)
        assert chunked == alone[-1].tobytes()


def sums_and_best(data: bytes, threads: int) -> list[tuple[float, list[int]]]:
    """ln(sum(exp(logits))) and the best tokens behind each of the ids."""
    engine, found = Engine.load(parsed(data), data, NativeHost(threads)), []
    for position, token in enumerate(IDS * 10):
        engine.step(token, position)
        best = engine.candidates(5, 1.0, 1.0)
        found.append((best.log_sum_exp, best.ids.tolist()))
    engine.free()
    return found


def test_segments_are_summed_when_all_logits_are_there() -> None:
    """No thread may add up what another one has not written yet: the logits of the token before."""
    data = random_file(config(vocab_size=5001, context_length=len(IDS) * 10))
    alone = sums_and_best(data, 1)
    for threads in range(2, MAX_THREADS + 1):
        assert sums_and_best(data, threads) == alone


def test_helpers_end_with_the_engine() -> None:
    before = threading.active_count()
    data = random_file(config())
    engine = Engine.load(parsed(data), data, NativeHost(3))
    assert threading.active_count() == before + 2
    engine.free()
    assert threading.active_count() == before


def test_one_thread_meets_nobody() -> None:
    data = random_file(config())
    module = emit(parsed(data), plan_memory(config(), len(data)))
    assert b"barrier" not in module
    assert b"hand_out" not in module
