"""`scratch_peak_bytes` counts whole rows, and nothing is ever written behind the rows that it counts."""

from __future__ import annotations

import pytest

from tests.engine.models import config, loaded, neox, random_file
from tinypylm.engine import Engine
from tinypylm.memory import CHUNK_TOKENS

SHAPES = {"llama": config(), "neox": neox()}


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("tokens", [1, 3, CHUNK_TOKENS])
def test_a_pass_writes_to_the_rows_of_its_tokens_alone(family: str, tokens: int):
    engine = loaded(random_file(SHAPES[family]))
    assert engine.scratch_peak_bytes == 0
    engine.prefill(range(1, tokens + 1), 0)
    engine.candidates(4, 1.0, 1.0)
    assert engine.scratch_peak_bytes == engine.plan.scratch_peak_bytes(tokens, 1)
    assert written_behind(engine, tokens) == {}


def test_the_peak_is_that_of_the_widest_pass():
    engine = loaded(random_file(config()))
    peaks = []
    for count in (2, 5, 3):
        engine.prefill(range(count), 0)
        peaks.append(engine.scratch_peak_bytes)
    engine.step(1, 3)
    assert peaks[0] < peaks[1] == peaks[2] == engine.scratch_peak_bytes < engine.plan.scratch_arena_bytes
    assert engine.plan.scratch_peak_bytes(CHUNK_TOKENS, 4) == engine.plan.scratch_arena_bytes


def written_behind(engine: Engine, tokens: int) -> dict[str, int]:
    """Bytes other than zero in the rows of a region that no token and no thread has."""
    found = {}
    for name, region in engine.plan.regions.items():
        used = region.stride_bytes * (1 if name == "scores" else tokens)
        if region.size_bytes > region.stride_bytes and used < region.size_bytes:
            rest = engine._live().read(region.address + used, region.size_bytes - used)
            found[name] = len(rest) - rest.count(0)
    return {name: count for name, count in found.items() if count}
