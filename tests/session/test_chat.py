"""Turns become a prompt by the metadata of the model, an answer ends where the user's next turn would begin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.session.scripted_model import ANSWER, CHAT, scripted_model
from tests.test_app import Worker
from tinypylm.chat import ChatFormat, Turn, turns_of
from tinypylm.errors import ErrorCode, SessionError

GREEDY = {"temperature": 0, "max_tokens": 40}
HELLO = {"role": "user", "content": "hi"}


@pytest.fixture
def talker() -> Iterator[Worker]:
    worker = Worker()
    worker.result("load", scripted_model(ANSWER, context_length=200, chat=CHAT))
    yield worker
    worker.answer("stop")
    worker.answer("free")


def answered(worker: Worker, messages: list[dict[str, str]], **options: Any) -> str:
    """What is said, and what stays held back."""
    worker.emitted.clear()
    worker.result("start", messages=messages, options=GREEDY | options)
    end = worker.result("advance", budget_ms=10_000)
    return "".join(text for _, text, *_ in worker.emitted) + str(end["text"])


def test_each_turn_stands_between_the_prefix_and_the_suffix_of_its_role():
    chat = ChatFormat({
        "system_prefix": "<s>", "system_suffix": "</s>", "user_prefix": "<u>", "user_suffix": "</u>",
        "assistant_prefix": "<a>", "assistant_suffix": "</a>"})
    turns = [Turn("system", "be kind"), Turn("user", "hi"), Turn("assistant", "hello"), Turn("user", "a story")]
    assert chat.prompt(turns) == "<s>be kind</s><u>hi</u><a>hello</a><u>a story</u><a>"


@pytest.mark.parametrize(("suffix", "stops"), [
    ("", ("\nU:",)), ("\n", ("\n\nU:", "\nU:")), ("</a>", ("</a>\nU:", "\nU:", "</a>"))])
def test_an_answer_ends_before_the_next_user_and_before_an_end_that_can_be_seen(suffix: str, stops: tuple[str, ...]):
    assert ChatFormat(CHAT | {"assistant_suffix": suffix}).stop_strings == stops


def test_a_suffix_without_a_visible_character_stays_out_of_the_answer():
    worker = Worker()
    worker.result("load", scripted_model(b">helo\nU:xyz", chat={"user_prefix": "U:", "assistant_prefix": "A>",
                                                               "assistant_suffix": "\n"}))
    assert answered(worker, [HELLO]) == "helo"
    worker.result("free")


def test_a_space_behind_a_prefix_is_the_model_s_to_say_and_no_part_of_the_answer():
    spaced = {"user_prefix": "U: ", "user_suffix": "\n", "assistant_prefix": "A> ", "assistant_suffix": "\n"}
    assert ChatFormat(spaced).prompt([Turn("user", "hi"), Turn("assistant", "helo"), Turn("user", "ho")]) == (
        "U: hi\nA> helo\nU: ho\nA>")
    worker = Worker()
    worker.result("load", scripted_model(b"> helo\nU:xyz", context_length=100, chat=spaced))
    assert answered(worker, [HELLO], top_logprobs=1) == "helo"
    assert [chr(token) for token, *_ in worker.emitted] == [*" helo\nU:"]
    fed = worker.result("diagnostics")["kv_cache_tokens"]
    assert answered(worker, [HELLO, {"role": "assistant", "content": "helo"}, HELLO]) == "helo"
    assert worker.result("diagnostics")["reused_prompt_tokens"] == fed
    worker.emitted.clear()
    worker.result("start", prompt=">", options=GREEDY)  # a text after a chat keeps its spaces
    worker.result("advance", budget_ms=10_000)
    assert "".join(text for _, text, *_ in worker.emitted).startswith(" helo")
    worker.result("free")


def test_the_answer_ends_where_the_user_would_speak_again(talker: Worker):
    assert answered(talker, [HELLO]) == "helo"
    assert talker.result("diagnostics")["prompt_tokens"] == 1 + len("\nU:hi\nA>")
    assert answered(talker, [HELLO], stop_strings=["l"]) == "he"


def test_a_second_turn_computes_only_what_is_new(talker: Worker):
    first = [HELLO]
    answer = answered(talker, first)
    fed = talker.result("diagnostics")["kv_cache_tokens"]
    assert answered(talker, [*first, {"role": "assistant", "content": answer}, HELLO]) == "helo"
    figures = talker.result("diagnostics")
    assert figures["prompt_tokens"] == 1 + len("\nU:hi\nA>helo\nU:hi\nA>")
    assert figures["reused_prompt_tokens"] == fed  # prompt, answer, and the user's prefix that ended it


def test_the_tokens_of_messages_are_those_of_their_prompt(talker: Worker):
    tokens = talker.result("tokenize", messages=[HELLO], bos=False)["tokens"]
    assert "".join(token["text"] for token in tokens) == "\nU:hi\nA>"


@pytest.mark.parametrize(("chat", "can"), [
    (CHAT, True), (None, False), ({}, False), ({"user_prefix": "U:"}, False),
    ({"user_prefix": " ", "assistant_prefix": "A:"}, False), ({"assistant_prefix": "A:"}, False)])
def test_a_model_without_visible_prefixes_says_so_and_is_refused(chat: dict[str, str] | None, can: bool):
    worker = Worker()
    assert worker.result("load", scripted_model(b">helo", chat=chat))["can_chat"] is can
    answer = worker.answer("start", messages=[HELLO], options=GREEDY)
    assert ("result" in answer) is can
    if not can:
        assert answer["error"]["code"] == "NoChatFormat"
        assert answer["error"]["detail"] == {"model": "scripted"}
        assert answer["error"]["message"].startswith("scripted was not made for chat")
    worker.answer("stop")
    worker.result("free")


@pytest.mark.parametrize(("messages", "index"), [
    (None, None), ("hi", None), ([], None), (["hi"], 0), ([{"role": "user"}], 0),
    ([{"role": "user", "content": "hi", "name": "x"}], 0), ([{"role": "tool", "content": "hi"}], 0),
    ([{"role": ["user"], "content": "hi"}], 0), ([{"role": "user", "content": ["hi"]}], 0),
    ([{"role": "user", "content": ""}], 0),
    ([HELLO, {"role": "system", "content": "late"}, HELLO], 1), ([HELLO, {"role": "assistant", "content": "hi"}], 1)])
def test_messages_that_are_none_are_refused_with_the_first_of_them(messages: object, index: int | None):
    with pytest.raises(SessionError) as caught:
        turns_of(messages)
    assert caught.value.code is ErrorCode.UNUSABLE_MESSAGES
    assert caught.value.detail == {"index": index}


def test_a_role_that_the_model_does_not_know_is_refused_with_those_that_it_knows():
    chat = ChatFormat({"user_prefix": "U:", "assistant_prefix": "A:"})
    with pytest.raises(SessionError, match="expected a role of this model: user, assistant"):
        chat.prompt([Turn("system", "be kind"), Turn("user", "hi")])


def test_a_refused_message_leaves_the_context(talker: Worker):
    answered(talker, [HELLO])
    before = talker.result("diagnostics")
    assert talker.answer("start", messages=[], options=GREEDY)["error"]["code"] == "UnusableMessages"
    assert json.dumps(talker.result("diagnostics")) == json.dumps(before)
