"""Sessions on the models of the tree: what they say is what their logits say, and a seed says it again."""

from pathlib import Path

import numpy as np
import pytest

from tests.session.story import Story, text_of
from tinypylm.states import State

MODELS = Path(__file__).resolve().parents[2] / "models"
FILES = sorted([*MODELS.glob("fixtures/*.slm"), *MODELS.glob("storyteller-2m-*.slm")])
SAMPLED = {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "min_p": 0.01, "repetition_penalty": 1.1, "max_tokens": 24}


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def story(request):
    story = Story(request.param.read_bytes())
    yield story
    story.session.free()


def test_the_models_of_the_tree_are_tested():
    assert len(FILES) >= 7


def test_a_seed_tells_the_same_story_again_and_another_seed_another(story):
    first, again, other = (story.tell("the cat", seed=seed, **SAMPLED) for seed in (7, 7, 8))
    assert first == again
    assert [event.id for event in first] != [event.id for event in other]


def test_one_token_at_a_time_gives_the_same_events_as_one_run(story):
    whole = story.tell("the little cat sat down and", seed=3, **SAMPLED)
    assert story.tell("the little cat sat down and", lambda: True, seed=3, **SAMPLED) == whole


def test_steps_continue_as_the_generation_would_have(story):
    options = SAMPLED | {"seed": 2**64 - 1}
    longer = story.tell("the cat", **options)
    begun = story.tell("the cat", **options | {"max_tokens": len(longer) // 2})
    steps = [story.session.generate_next_token() for _ in range(len(longer) - len(begun))]
    assert [(event.id, event.logprob) for event in begun + steps] == [(event.id, event.logprob) for event in longer]


def test_greedy_tokens_and_logprobs_are_those_of_the_logits(story):
    engine = story.session._loaded.engine
    story.session.start("the cat", greedy(12))
    while not story.session.finished:
        for event in story.session.advance(lambda: True):
            logits = np.frombuffer(engine.logits(), "<f4").astype(np.float64)
            assert event.id == logits.argmax()
            assert event.logprob == pytest.approx(logits.max() - np.logaddexp.reduce(logits), abs=1e-5)


def greedy(max_tokens):
    from tinypylm.options import SamplingOptions

    return SamplingOptions(temperature=0, max_tokens=max_tokens)


def test_the_text_is_the_decoded_tokens(story):
    events = story.tell("the cat", seed=5, **SAMPLED)
    tokenizer = story.session._loaded.tokenizer
    assert text_of(events) == b"".join(tokenizer.token_bytes(event.id) for event in events).decode(errors="replace")


def test_a_story_goes_on_until_the_context_is_full(story):
    length = story.session.diagnostics()["context_length"]
    story.tell("the cat", max_tokens=1)
    taken = len(story.session.prompt_ids)
    while story.session.diagnostics()["kv_cache_tokens"] < length:
        story.session.generate_next_token()
    assert story.session.diagnostics()["generated_tokens"] == length - taken + 1
    assert story.session.state is State.CONTEXT_READY
    assert text_of(story.tell("the cat", max_tokens=4))
