"""A session on real compiled models: what streams out, why it ends, and what every refusal leaves behind."""

import json
from itertools import cycle

import numpy as np
import pytest

from tests.session.scripted_model import EOS, HIDDEN, Role, config, scripted_model, sealed
from tests.session.story import GREEDY, Story, text_of
from tinypylm.errors import ErrorCode, FormatError, SessionError, SlmError
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.states import State


def refused(code, request, *arguments):
    """The error of a request that has to be refused."""
    with pytest.raises(SessionError) as caught:
        request(*arguments)
    assert caught.value.code is code
    return caught.value


def test_a_model_says_its_script_and_ends_with_its_end_token(told):
    story = told("abcdefgh")
    events = story.tell("a")
    assert text_of(events) == "bcdefgh"
    assert [event.id for event in events] == [*b"bcdefgh", EOS]
    assert [event.index for event in events] == list(range(8))
    assert all(event.logprob == pytest.approx(0, abs=1e-3) for event in events)
    assert (story.session.state, story.session.finish_reason) == (State.CONTEXT_READY, "stop")


def test_streaming_in_any_portions_gives_the_events_of_one_run(told):
    story = told("abcdefgh", ends=False)
    options = {"temperature": 20.0, "top_k": 40, "seed": 5, "max_tokens": 30, "repetition_penalty": 1.3}
    whole = story.tell("a long enough prompt for three chunks", **options)
    assert len(whole) > 20
    for pattern in ([True], [False, True], [True, False, False]):
        turns = cycle(pattern)
        assert story.tell("a long enough prompt for three chunks", lambda: next(turns), **options) == whole  # noqa: B023


def test_a_deadline_that_has_passed_gives_one_chunk_or_one_token_at_a_time(told):
    story = told("abcdefgh")
    story.session.start("x" * 39 + "a", GREEDY)
    portions = [len(story.session.advance(lambda: True)) for _ in range(7)]
    assert portions == [0, 0, 0, 1, 1, 1, 1]
    assert story.session.diagnostics()["kv_cache_tokens"] == 41 + 3


def test_max_tokens_ends_with_length(told):
    story = told("abcdefgh")
    assert text_of(story.tell("a", max_tokens=3)) == "bcd"
    assert story.session.finish_reason == "length"
    assert text_of(story.tell("g", max_tokens=2)) == "h"
    assert story.session.finish_reason == "stop"


def test_a_full_context_ends_with_context(told):
    story = told("abcdefgh", context_length=20, ends=False)
    events = story.tell("xxxxa")
    assert len(events) == 15
    assert text_of(events) == "bcdefghabcdefgh"
    assert story.session.finish_reason == "context"
    assert story.session.diagnostics()["kv_cache_tokens"] == 20
    error = refused(ErrorCode.CONTEXT_EXCEEDED, story.session.generate_next_token)
    assert error.detail == {"prompt_tokens": 6, "context_length": 20}
    assert story.session.state is State.CONTEXT_READY


def test_a_prompt_that_fills_the_context_is_followed_by_one_token(told):
    story = told("abcdefgh", context_length=20)
    assert text_of(story.tell("x" * 18 + "a")) == "b"
    assert story.session.finish_reason == "context"


def test_a_prompt_beyond_the_context_is_refused_and_the_old_context_goes_on(told):
    story = told("abcdefgh", context_length=20)
    story.tell("a", max_tokens=2)
    error = refused(ErrorCode.CONTEXT_EXCEEDED, story.session.start, "x" * 20, GREEDY)
    assert error.detail == {"prompt_tokens": 21, "context_length": 20}
    assert "21 tokens" in error.message
    assert story.session.diagnostics()["last_error_code"] == "ContextExceeded"
    assert story.session.generate_next_token().text == "d"
    assert text_of(story.tell("f")) == "gh"


def test_an_empty_prompt_is_refused(told):
    story = told()
    refused(ErrorCode.EMPTY_PROMPT, story.session.start, "", GREEDY)
    assert story.session.state is State.MODEL_READY


@pytest.mark.parametrize("script", ["aé😀z", "a日!", "aÿ\u2028b"])
def test_characters_of_several_tokens_come_out_whole(told, script):
    story = told(script.encode())
    events = story.tell(script[0])
    assert text_of(events) == script[1:]
    assert all(len(event.text) <= 1 for event in events)


def test_an_unfinished_character_at_the_end_comes_out_as_the_replacement_character(told):
    story = told("aé😀z")
    assert text_of(story.tell("a", max_tokens=4)) == "é\ufffd"
    assert text_of(story.tell("a", max_tokens=2)) == "é"


def test_invalid_utf_8_never_stops_a_generation(told):
    story = told(b"a\xff\xc3z\x80b")
    assert text_of(story.tell("a")) == b"\xff\xc3z\x80b".decode(errors="replace")


@pytest.mark.parametrize(
    ("stop_strings", "expected", "generated"),
    [
        (("def",), "bc", 5), (("x", "ef", "cde"), "b", 4), (("h",), "bcdefg", 7), (("bcd", "c"), "b", 2),
        (("hx",), "bcdefgh", 8),
    ],
)
def test_the_text_ends_before_a_stop_string_that_spans_tokens(told, stop_strings, expected, generated):
    story = told("abcdefgh")
    events = story.tell("a", stop_strings=stop_strings)
    assert (text_of(events), len(events)) == (expected, generated)
    assert story.session.finish_reason == "stop"


def test_text_that_did_not_become_a_stop_string_comes_out_when_max_tokens_is_reached(told):
    story = told("abcdefgh")
    events = story.tell("a", stop_strings=("cdX",), max_tokens=3)
    assert [event.text for event in events] == ["b", "", "cd"]
    assert story.session.finish_reason == "length"


def test_stop_ends_at_once_and_gives_what_was_held_back(told):
    story = told("abcdefgh")
    story.session.start("a", SamplingOptions(temperature=0, stop_strings=("cdX",)))
    deadlines = iter([False, False, False, True])
    assert text_of(story.session.advance(lambda: next(deadlines))) == "b"
    assert story.session.stop() == "cd"
    assert (story.session.state, story.session.finish_reason) == (State.CONTEXT_READY, "cancelled")
    assert story.session.stop() == ""
    assert story.session.finish_reason == "cancelled"
    assert story.session.generate_next_token().text == "e"
    assert text_of(story.tell("f")) == "gh"


def test_a_prompt_stopped_half_way_is_read_to_its_end_before_a_step(told):
    story = told("abcdefgh")
    story.session.start("x" * 39 + "a", GREEDY)
    assert story.session.advance(lambda: True) == []
    story.session.stop()
    assert story.session.diagnostics()["kv_cache_tokens"] == 16
    assert story.session.generate_next_token().text == "b"
    assert story.session.diagnostics()["kv_cache_tokens"] == 41


def test_a_step_continues_the_text_and_adds_one_to_the_counters(told):
    story = told("abcdefgh")
    story.tell("a", max_tokens=2)
    before = story.session.diagnostics()
    event = story.session.generate_next_token()
    after = story.session.diagnostics()
    assert (event.text, event.index) == ("d", 2)
    assert after["generated_tokens"] == before["generated_tokens"] + 1 == 3
    assert after["kv_cache_tokens"] == before["kv_cache_tokens"] + 1
    assert story.session.state is State.CONTEXT_READY


def test_steps_after_a_generation_give_the_tokens_of_a_longer_one(told):
    story = told("abcdefgh", ends=False)
    options = {"temperature": 20.0, "seed": 11, "top_k": 100, "repetition_penalty": 1.5}
    longer = story.tell("a", max_tokens=12, **options)
    shorter = story.tell("a", max_tokens=5, **options)
    steps = [story.session.generate_next_token() for _ in range(7)]
    assert [(e.id, e.logprob, e.index) for e in shorter + steps] == [(e.id, e.logprob, e.index) for e in longer]


def test_characters_come_out_whole_across_steps(told):
    story = told("aé😀z")
    story.tell("a", max_tokens=2)
    assert [story.session.generate_next_token().text for _ in range(5)] == ["", "", "", "😀", "z"]


def test_reset_forgets_context_and_counters_and_keeps_the_model(told):
    story = told("abcdefgh")
    story.tell("a")
    story.session.reset()
    figures = story.session.diagnostics()
    assert (figures["prompt_tokens"], figures["generated_tokens"], figures["kv_cache_tokens"]) == (0, 0, 0)
    assert figures["decode_tokens_per_second"] is figures["time_to_first_token_ms"] is None
    refused(ErrorCode.NO_CONTEXT, story.session.generate_next_token)
    assert text_of(story.tell("a")) == "bcdefgh"


def test_reset_forgets_which_tokens_were_seen(told):
    story = told("abcdefgh")
    options = {"repetition_penalty": 2.0, "temperature": 20.0, "seed": 3, "max_tokens": 20}
    first = story.tell("a", **options)
    story.session.reset()
    assert story.tell("a", **options) == first


def test_free_unloads_the_model(told):
    story = told()
    story.tell("a")
    story.session.free()
    refused(ErrorCode.MODEL_NOT_LOADED, story.session.start, "a", GREEDY)
    assert story.session.diagnostics()["linear_memory_bytes"] is None
    story.session.load(scripted_model(b"xyz"))
    assert text_of(story.tell("x")) == "yz"


def test_a_new_model_replaces_the_old_one(told):
    story = told("abc")
    story.tell("a")
    figures = story.session.load(scripted_model(b"xyz"))
    assert figures == story.session.diagnostics()
    refused(ErrorCode.NO_CONTEXT, story.session.generate_next_token)
    assert text_of(story.tell("x")) == "yz"


def test_a_broken_file_leaves_no_model_behind(told):
    story = told()
    with pytest.raises(FormatError) as caught:
        story.session.load(b"not a model at all")
    assert story.session.state is State.NO_MODEL
    assert story.session.diagnostics()["last_error_code"] == caught.value.code
    assert story.session.prompt_ids == ()
    refused(ErrorCode.MODEL_NOT_LOADED, story.session.start, "a", GREEDY)


def test_text_beyond_the_limit_clears_the_context_and_keeps_what_was_given_out(told):
    story = told("abcdefgh", ends=False, limit=10)
    story.session.start("a", GREEDY)
    assert text_of(story.session.advance(lambda: False)) == "bcdefghabc"
    error = refused(ErrorCode.OUTPUT_BUFFER_EXCEEDED, story.session.advance, lambda: False)
    assert error.detail == {"limit_bytes": 10}
    assert (story.session.state, story.session.finished) == (State.MODEL_READY, True)
    assert story.session.diagnostics()["last_error_code"] == "OutputBufferExceeded"
    assert story.session.diagnostics()["generated_tokens"] == 0
    assert text_of(story.tell("a", max_tokens=10)) == "bcdefghabc"


def test_the_limit_is_64_kib_unless_the_caller_lowers_it():
    assert Session.__init__.__defaults__ == (64 * 1024,)


def test_the_limit_counts_bytes_of_utf_8_and_may_be_reached(told):
    story = told("aé😀", limit=6)
    assert text_of(story.tell("a")) == "é😀"
    story = told("aé😀", limit=5)
    with pytest.raises(SessionError, match="5 bytes"):
        story.tell("a")


def test_held_back_text_beyond_the_limit_is_refused_when_stopped(told):
    story = told("abcdefgh", limit=2)
    story.session.start("a", SamplingOptions(temperature=0, stop_strings=("bcdX",)))
    deadlines = iter([False, False, False, True])
    assert text_of(story.session.advance(lambda: next(deadlines))) == ""
    refused(ErrorCode.OUTPUT_BUFFER_EXCEEDED, story.session.stop)
    assert story.session.state is State.MODEL_READY


def test_a_stop_does_not_hide_a_failure_that_was_still_to_be_raised(told):
    story = told("abcdefgh", ends=False, limit=3)
    story.session.start("a", GREEDY)
    assert text_of(story.session.advance(lambda: False)) == "bcd"
    refused(ErrorCode.OUTPUT_BUFFER_EXCEEDED, story.session.stop)
    assert story.session.state is State.MODEL_READY


def test_while_generating_everything_but_advance_and_stop_is_busy(told):
    story = told()
    story.session.start("a", GREEDY)
    session = story.session
    requests = [(session.start, "b", GREEDY), (session.load, scripted_model(b"xyz")), (session.generate_next_token,),
                (session.reset,), (session.free,)]
    for request, *arguments in requests:
        refused(ErrorCode.BUSY, request, *arguments)
    assert text_of(story.rest()) == "bcdefgh"


def test_requests_without_a_model_or_context_are_refused(told):
    session = Session(NativeHost())
    for request in (session.generate_next_token, session.stop, session.reset, session.free):
        refused(ErrorCode.MODEL_NOT_LOADED, request)
    refused(ErrorCode.MODEL_NOT_LOADED, session.advance, lambda: True)
    story = told()
    for request in (story.session.generate_next_token, story.session.stop):
        refused(ErrorCode.NO_CONTEXT, request)
    refused(ErrorCode.NO_CONTEXT, story.session.advance, lambda: True)
    story.tell("a")
    refused(ErrorCode.NOT_GENERATING, story.session.advance, lambda: True)


def test_half_a_surrogate_pair_in_a_prompt_becomes_the_replacement_character(told):
    story = told()
    story.tell("\ud83d\ude00\ud800a", max_tokens=1)
    assert story.session.prompt_ids == (256, *"😀\ufffda".encode())


def test_every_figure_is_there_from_the_start(told):
    empty = Session(NativeHost()).diagnostics()
    story = told()
    story.tell("a")
    figures = story.session.diagnostics()
    assert set(figures) == set(empty)
    assert {key for key, value in figures.items() if value is None} == {"last_error_code", "last_adapter_checksum"}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert {key for key, value in empty.items() if value is not None} == {
        "state", "prompt_tokens", "reused_prompt_tokens", "generated_tokens", "kv_cache_tokens", "threads", "engine",
        "adapter_apply_count"}


def test_figures_are_those_of_the_loaded_file(told):
    data = scripted_model(b"abc", context_length=33)
    figures = Story(data).session.diagnostics()
    expected = {"model_id": "scripted", "family": "llama", "quantization": "f32", "vocab_size": 259,
                "context_length": 33, "file_bytes": len(data), "state": "model-ready", "threads": 1}
    assert {key: figures[key] for key in expected} == expected
    assert figures["linear_memory_bytes"] == figures["planned_memory_bytes"]


def test_waiting_between_two_calls_does_not_count_as_work(told, monkeypatch):
    """On a clock that stands still during work every rate stays unknown, however long the caller waits."""
    now = [0.0]
    monkeypatch.setattr("tinypylm.generation.perf_counter", lambda: now[0])
    story = told()
    story.session.start("a", GREEDY)
    while not story.session.finished:
        story.session.advance(lambda: True)
        now[0] += 10
    figures = story.session.diagnostics()
    assert figures["decode_tokens_per_second"] is figures["prompt_tokens_per_second"] is None
    assert figures["time_to_first_token_ms"] == 10_000


def test_overflowing_logits_are_an_error_and_clear_the_context(told):
    huge = np.full((259, HIDDEN), 3e38, np.float32)
    story = Story(sealed(config(64), {Role.TOK_EMBEDDINGS: np.ones_like(huge), Role.OUTPUT: huge}))
    with pytest.raises(SlmError) as caught:
        story.tell("a")
    assert caught.value.code is ErrorCode.NON_FINITE_LOGITS
    assert story.session.state is State.MODEL_READY
