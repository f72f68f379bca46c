"""What a prompt shares with the context before it is not computed again, and nobody can tell from the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.engine.models import config, neox, random_file
from tests.session.scripted_model import scripted_model
from tests.session.story import GREEDY, Story, text_of
from tinypylm.config import DType
from tinypylm.errors import SessionError
from tinypylm.generation import Generation, TokenEvent
from tinypylm.options import SamplingOptions
from tinypylm.session import _Loaded

TEXT = "the quick brown fox jumps over the lazy dog and runs on until it is dark"
SAMPLED = {"temperature": 3.0, "top_k": 60, "repetition_penalty": 1.7, "seed": 5, "max_tokens": 12}
SHAPES = {"llama": config, "gpt-neox": neox}
SHARED = (0, 1, 14, 15, 16, 17, 31, 32, 40)
"""Tokens in common (bos is one of them): around the borders of chunks of 16, and well between."""


@pytest.fixture(scope="module", params=[(name, dtype) for name in SHAPES for dtype in DType], ids=str)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Story, Story]]:
    """Two sessions on one model: one keeps its context from prompt to prompt, the other is told to forget it."""
    name, dtype = request.param
    data = random_file(SHAPES[name](quantization=dtype, context_length=96), seed=4)
    stories = Story(data), Story(data)
    yield stories
    for story in stories:
        story.session.free()


def told_afresh(story: Story, prompt: str, **options: float) -> list[TokenEvent]:
    story.session.reset()
    return story.tell(prompt, **options)


def logits(story: Story) -> bytes:
    return story.session._loaded.engine.logits()


def reused(story: Story) -> int:
    return story.session.diagnostics()["reused_prompt_tokens"]


@pytest.mark.parametrize("shared", SHARED)
def test_a_prompt_that_begins_as_the_one_before_gives_the_same_bits(pair: tuple[Story, Story], shared: int) -> None:
    keeping, fresh = pair
    begun = TEXT[: max(shared - 1, 0)]
    keeping.tell(begun + "#" + TEXT[::-1][:20], **SAMPLED)
    assert keeping.tell(begun + TEXT[shared:], **SAMPLED) == told_afresh(fresh, begun + TEXT[shared:], **SAMPLED)
    assert reused(keeping) == max(shared, 1)
    assert reused(fresh) == 0
    assert logits(keeping) == logits(fresh)


def test_sampled_tokens_are_reused_as_those_of_a_prompt_are(pair: tuple[Story, Story]) -> None:
    model = pair[1].session._loaded
    first, _ = generated(model, [256, *b"the quick"], ())
    said = first.context.fed_ids
    assert len(said) == 10 + SAMPLED["max_tokens"] - 1
    turn = [*said, *b" and so"]
    kept, kept_tokens = generated(model, turn, said)
    kept_logits = model.engine.logits()
    _, tokens = generated(model, turn, ())
    assert kept.context.reused_tokens == len(said)
    assert (kept_tokens, kept_logits) == (tokens, model.engine.logits())


def generated(model: _Loaded, ids: list[int], cached: Sequence[int]) -> tuple[Generation, list[tuple[object, ...]]]:
    """A generation to its end on ids, which need not be text."""
    tokens: list[tuple[object, ...]] = []
    generation = Generation(model.engine, model.tokenizer, ids, SamplingOptions(**SAMPLED), 10_000, cached)
    generation.advance(lambda: False, lambda *token: tokens.append(token))
    return generation, tokens


def test_of_a_prompt_that_is_all_there_only_the_last_token_is_computed(pair: tuple[Story, Story]) -> None:
    keeping, fresh = pair
    for prompt in (TEXT, TEXT, TEXT[:40]):
        assert keeping.tell(prompt, **SAMPLED) == told_afresh(fresh, prompt, **SAMPLED)
    assert reused(keeping) == 40  # bos and 39 letters; the fortieth is computed for its logits
    assert logits(keeping) == logits(fresh)


def test_a_chat_keeps_its_bits_from_turn_to_turn(told: Callable[..., Story]) -> None:
    story = told("abcdefgh", context_length=200)
    text = "x"
    for turn in range(5):
        text += "a"
        text += text_of(story.tell(text, max_tokens=3))
        assert story.session.diagnostics()["reused_prompt_tokens"] == (0 if turn == 0 else 1 + 4 * turn)
    assert text == "x" + 5 * "abcd"
    assert story.session.diagnostics()["prompt_tokens"] == 1 + 1 + 4 * 4 + 1


def test_steps_after_a_generation_can_be_reused_too(told: Callable[..., Story]) -> None:
    story = told("abcdefgh")
    story.tell("a", max_tokens=2)
    story.session.generate_next_token()
    assert text_of(story.tell("abcd", max_tokens=2)) == "ef"
    assert reused(story) == 4


def test_a_prompt_stopped_half_way_leaves_what_was_read(told: Callable[..., Story]) -> None:
    story = told("abcdefgh", context_length=100)
    prompt = "x" * 39 + "a"
    story.session.start(prompt, GREEDY)
    story.session.advance(lambda: True)
    story.session.stop()
    assert text_of(story.tell(prompt)) == "bcdefgh"
    assert reused(story) == 16


def test_the_prompt_rate_is_that_of_the_tokens_that_were_computed(
    told: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    story = told("abcdefgh", context_length=100)
    story.tell("x" * 40 + "a")
    now = iter(range(1000))
    monkeypatch.setattr("tinypylm.generation.perf_counter", lambda: float(next(now)))
    story.tell("x" * 40 + "zza")
    figures = story.session.diagnostics()
    assert (figures["prompt_tokens"], figures["reused_prompt_tokens"]) == (44, 41)
    assert figures["prompt_tokens_per_second"] == 3.0


@pytest.mark.parametrize("forget", ["reset", "load", "a failure"])
def test_nothing_is_reused_after(told: Callable[..., Story], forget: str) -> None:
    story = told("abcdefgh", ends=False, limit=10)
    story.tell("xxa", max_tokens=3)
    if forget == "reset":
        story.session.reset()
    elif forget == "load":
        story.session.load(scripted_model(b"abcdefgh", ends=False))
    else:
        with pytest.raises(SessionError, match="10 bytes"):
            story.tell("xxa")
    assert text_of(story.tell("xxa", max_tokens=2)) == "bc"
    assert reused(story) == 0
