"""A token leaves nothing behind but its place in the context."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from tests.session.story import Story

MODEL = Path(__file__).resolve().parents[2] / "models" / "storyteller-2m-q8_0.slm"
SAMPLED = {"temperature": 1.5, "top_k": 40, "repetition_penalty": 1.1, "stop_strings": ("qqq",)}


@pytest.mark.parametrize("options", [{"temperature": 0}, SAMPLED], ids=["greedy", "sampled"])
def test_2000_tokens_leave_as_many_blocks_as_200_do(options: dict[str, float]) -> None:
    story = Story(MODEL.read_bytes())
    after_200 = blocks_after(story, 200, **options)
    after_2000 = blocks_after(story, 2000, **options)
    story.session.free()
    assert abs(after_2000 - after_200) <= 20


def blocks_after(story: Story, count: int, **options: float) -> int:
    """Blocks that Python holds after so many tokens more, with an empty context."""
    seed = 0
    while count > 0:
        seed += 1
        story.session.reset()
        count -= len(story.tell("Once upon a time", seed=seed, max_tokens=min(count, 400), **options))
    story.session.reset()
    gc.collect()
    return sys.getallocatedblocks()
