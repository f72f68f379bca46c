"""The compiled network against its NumPy twin, and what the engine promises about memory and calls."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.engine.models import all_logits, config, loaded, neox, parsed, random_file
from tests.reference import gpt_neox, llama
from tinypylm.config import DType, Family, ModelConfig
from tinypylm.engine import Engine
from tinypylm.errors import EngineError, ErrorCode, SessionError
from tinypylm.memory import CHUNK_TOKENS, PAGE_BYTES, plan_memory

SHAPES = {
    "llama, grouped 2:1": config(),
    "llama, grouped 3:1": config(n_heads=6, n_kv_heads=2, head_dim=32),
    "llama, grouped 8:2": config(n_heads=8, n_kv_heads=2, head_dim=8),
    "llama, a head each": config(n_heads=4, n_kv_heads=4, head_dim=24),
    "llama, untied": config(tied_embeddings=False),
    "llama, interleaved pairs": config(interleaved_rotary=True),
    "llama, odd sizes": config(n_heads=3, n_kv_heads=1, head_dim=6, ffn_size=37, vocab_size=301, context_length=39,
                               rope_theta=500.0),
    "llama, one of everything": config(n_heads=1, n_kv_heads=1, head_dim=2, ffn_size=1, n_layers=1),
    "neox, parallel": neox(),
    "neox, sequential": neox(parallel_residual=False),
    "neox, half a head turned": neox(n_heads=2, head_dim=40, rotary_dim=20),
    "neox, whole heads turned": neox(n_heads=6, head_dim=32, rotary_dim=32, ffn_size=160),
    "neox, interleaved pairs": neox(interleaved_rotary=True, rotary_dim=8),
    "neox, tied": neox(tied_embeddings=True),
    "neox, GELU by tanh": neox(gelu_tanh=True),
    "neox, odd sizes": neox(n_heads=3, head_dim=6, rotary_dim=2, ffn_size=37, vocab_size=301, context_length=39,
                            rope_theta=500.0),
    "neox, one of everything": neox(n_heads=1, head_dim=2, rotary_dim=2, ffn_size=1, n_layers=1),
}
REFERENCES = {Family.LLAMA: llama, Family.GPT_NEOX: gpt_neox}
LARGER = {Family.LLAMA: config(n_heads=6, n_kv_heads=2, head_dim=32), Family.GPT_NEOX: neox(n_heads=6, head_dim=32)}
IDS = np.random.default_rng(7).integers(0, 259, 37).tolist()


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_the_reference(name: str, dtype: DType) -> None:
    shape = replace(SHAPES[name], quantization=dtype)
    data = random_file(shape)
    engine = loaded(data)
    expected = REFERENCES[shape.family].logits(parsed(data), data, IDS)
    # Activations as 16-bit codes cost quantised models a few parts in ten thousand; f32 loses only rounding.
    tolerance = 2e-5 if dtype is DType.F32 else 2e-3
    np.testing.assert_allclose(all_logits(engine, IDS), expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("family", list(Family))
def test_a_prompt_in_chunks_gives_the_bits_of_single_steps(family: Family, dtype: DType) -> None:
    engine = loaded(random_file(replace(LARGER[family], quantization=dtype)))
    stepped = all_logits(engine, IDS)
    for sizes in ((16, 16, 5), (1, 2, 3, 7, 9, 15), (8, 16, 4, 9)):
        engine.reset()
        position = 0
        for size in sizes:
            engine.prefill(IDS[position:position + size], position)
            position += size
            assert engine.logits() == stepped[position - 1].tobytes()


def test_what_stood_in_the_cache_before_does_not_matter() -> None:
    engine = loaded(random_file(config()))
    fresh = all_logits(engine, IDS)
    all_logits(engine, IDS[::-1])
    engine.reset()
    np.testing.assert_array_equal(all_logits(engine, IDS), fresh)


@pytest.mark.parametrize("shape", [config(quantization=DType.Q8_0), neox(quantization=DType.Q8_0)])
def test_the_memory_is_the_plan_and_the_plan_is_the_parts(shape: ModelConfig) -> None:
    data = random_file(shape)
    engine = loaded(data)
    plan = plan_memory(shape, len(data))
    assert engine.linear_memory_bytes == plan.total_bytes == plan.pages * PAGE_BYTES
    parts = len(data) + plan.kv_cache_bytes + plan.scratch_arena_bytes
    assert parts <= plan.total_bytes <= parts + 2**20
    places = sorted((r.address, r.address + r.size_bytes) for r in plan.regions.values())
    assert all(end == start for (_, end), (start, _) in pairwise(places))


def test_weights_stay_where_the_files_bytes_lie() -> None:
    data = random_file(config(quantization=DType.Q4_0))
    engine = loaded(data)
    all_logits(engine, IDS)
    assert engine._live().read(0, len(data)) == data


def test_addresses_do_not_change_over_hundreds_of_tokens() -> None:
    engine = loaded(random_file(config(context_length=600)))
    before = engine.plan, engine.linear_memory_bytes, engine._candidates_at
    first = engine.candidates(5, 1.0, 1.0)
    token = 256
    for position in range(600):
        engine.step(token, position)
        found = engine.candidates(5, 1.0, 1.0)
        token = found.ids[0]
    assert found is first
    assert (engine.plan, engine.linear_memory_bytes, engine._candidates_at) == before


def test_seen_tokens_are_penalised_until_a_reset() -> None:
    engine = loaded(random_file(config()))
    engine.step(5, 0)
    plain = dict(zip(*_best(engine, 1.0), strict=True))
    penalised = dict(zip(*_best(engine, 2.0), strict=True))
    changed = {token for token in plain if plain[token] != penalised[token]}
    assert changed == {5}
    engine.reset()
    engine.step(6, 0)
    assert _best(engine, 2.0)[0] != []
    assert {t for t, v in zip(*_best(engine, 2.0), strict=True) if v != engine.raw_logit(t)} == {6}


def _best(engine: Engine, penalty: float) -> tuple[list[int], list[float]]:
    found = engine.candidates(259, 1.0, penalty)
    return list(found.ids), list(found.logits)


@pytest.mark.parametrize("shape", [config(), neox(), neox(parallel_residual=False), neox(gelu_tanh=True)])
def test_logits_that_overflow_are_an_error_not_a_choice(shape: ModelConfig) -> None:
    engine = loaded(random_file(shape, gain=1e30))
    engine.step(1, 0)
    with pytest.raises(EngineError) as caught:
        engine.candidates(1, 1.0, 1.0)
    assert caught.value.code is ErrorCode.NON_FINITE_LOGITS


def test_more_candidates_than_tokens_are_the_whole_vocabulary() -> None:
    engine = loaded(random_file(config()))
    engine.step(1, 0)
    assert engine.candidates(1024, 1.0, 1.0).count == 259


@pytest.mark.parametrize("token", [-1, 259, 2**31])
def test_a_token_outside_the_vocabulary_is_refused(token: int) -> None:
    engine = loaded(random_file(config()))
    for call in (lambda: engine.step(token, 0), lambda: engine.prefill([1, token], 0)):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.code is ErrorCode.TOKEN_OUT_OF_RANGE


def test_a_position_outside_the_context_is_refused() -> None:
    engine = loaded(random_file(config()))
    for call in (lambda: engine.step(1, 40), lambda: engine.prefill([1, 1], 39), lambda: engine.step(1, -1)):
        with pytest.raises(SessionError) as caught:
            call()
        assert caught.value.code is ErrorCode.CONTEXT_EXCEEDED


def test_a_chunk_of_the_wrong_size_is_a_bug_of_the_caller() -> None:
    engine = loaded(random_file(config()))
    for ids in ([], [1] * (CHUNK_TOKENS + 1)):
        with pytest.raises(ValueError, match="1 to 16 tokens"):
            engine.prefill(ids, 0)


def test_a_freed_engine_answers_nothing() -> None:
    engine = loaded(random_file(config()))
    engine.free()
    engine.free()
    for call in (lambda: engine.step(1, 0), engine.logits, lambda: engine.candidates(1, 1.0, 1.0)):
        with pytest.raises(SessionError) as caught:
            call()
        assert caught.value.code is ErrorCode.MODEL_NOT_LOADED
