"""The worker's door, driven here by CPython: JSON in, JSON out, and a stop that is seen before the next token."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.session.scripted_model import BOS, scripted_model
from tinypylm.app import App
from tinypylm.hosts.native import NativeHost

ENDLESS = scripted_model(b"abcdefgh", context_length=512, ends=False)
GREEDY = {"temperature": 0, "max_tokens": 500}


class Worker:
    """An App, what it emitted, and a flag that asks it to stop after some tokens."""

    def __init__(self, stop_after: int | None = None):
        self.emitted: list[tuple[Any, ...]] = []
        self.stop_after = stop_after
        self.app = App(NativeHost(), lambda *token: self.emitted.append(token), self._stop_requested)

    def _stop_requested(self) -> bool:
        return len(self.emitted) == self.stop_after

    def answer(self, method: str, data: bytes = b"", **params: object) -> dict[str, Any]:
        return json.loads(self.app.request(method, json.dumps(params), data))

    def result(self, method: str, data: bytes = b"", **params: object) -> dict[str, Any]:
        return self.answer(method, data, **params)["result"]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    worker.result("load", ENDLESS)
    yield worker
    worker.answer("stop")
    worker.answer("free")


def test_the_header_alone_says_how_much_memory_the_model_will_have():
    worker = Worker()
    promised = worker.result("inspect", ENDLESS[:108])
    assert promised["file_bytes"] == len(ENDLESS)
    assert worker.result("load", ENDLESS)["linear_memory_bytes"] == promised["memory_bytes"]


def app_with(kv_cache: str) -> App:
    return App(NativeHost(), lambda *token: None, lambda: False, kv_cache)


def test_keys_and_values_can_be_kept_in_half_the_memory():
    answers = [json.loads(app_with(kv_cache).request(method, "{}", data)) for kv_cache in ("f32", "f16")
               for method, data in (("inspect", ENDLESS[:108]), ("load", ENDLESS))]
    inspected, loaded, inspected_half, loaded_half = (answer["result"] for answer in answers)
    assert (loaded["kv_cache"], loaded_half["kv_cache"]) == ("f32", "f16")
    assert loaded["kv_cache_bytes"] == 2 * loaded_half["kv_cache_bytes"]
    assert inspected_half["memory_bytes"] == loaded_half["linear_memory_bytes"] < inspected["memory_bytes"]


@pytest.mark.parametrize(("method", "data"), [("inspect", ENDLESS[:108]), ("load", ENDLESS)])
def test_another_way_to_keep_them_is_refused_by_name(method: str, data: bytes):
    error = json.loads(app_with("q8").request(method, "{}", data))["error"]
    assert error["code"] == "OptionOutOfRange"
    assert error["message"] == "kv_cache is 'q8'; it has to be f32 or f16"


def test_without_a_budget_a_turn_reads_the_prompt_and_every_other_makes_one_token(worker: Worker):
    worker.result("start", prompt="a", options=GREEDY)
    for count in range(4):
        assert worker.result("advance", budget_ms=0) == {"finished": False}
        assert len(worker.emitted) == count


def test_a_stop_is_seen_before_the_next_token():
    worker = Worker(stop_after=5)
    worker.result("load", ENDLESS)
    worker.result("start", prompt="a", options=GREEDY)
    assert worker.result("advance", budget_ms=10_000) == {"finished": False}
    assert worker.result("advance", budget_ms=10_000) == {"finished": False}
    assert len(worker.emitted) == 5
    assert worker.result("stop") == {"stopped": True}
    assert worker.result("advance", budget_ms=0)["finish_reason"] == "cancelled"


def test_text_that_a_stop_found_held_back_comes_with_the_end(worker: Worker):
    worker.result("start", prompt="a", options=GREEDY | {"stop_strings": ["cdx"]})
    for _ in range(4):  # the prompt, b, c, d
        worker.result("advance", budget_ms=0)
    worker.result("stop")
    assert "".join(text for _, text, *_ in worker.emitted) == "b"
    assert worker.result("advance", budget_ms=0)["text"] == "cd"


def test_a_stop_after_the_end_says_that_nothing_ran(worker: Worker):
    assert worker.result("stop") == {"stopped": False}


def test_tokens_are_those_of_the_prompt_that_a_generation_reads(worker: Worker):
    tokens = worker.result("tokenize", prompt="aé")["tokens"]
    assert [token["id"] for token in tokens] == [BOS, *"aé".encode()]
    assert [token["text"] for token in tokens] == ["", "a", "\ufffd", "\ufffd"]
    assert [token["bytes"] for token in tokens] == [[], *([byte] for byte in "aé".encode())]
    worker.result("start", prompt="aé", options=GREEDY)
    assert worker.result("diagnostics")["prompt_tokens"] == len(tokens)


def test_tokens_can_be_had_without_the_one_in_front(worker: Worker):
    assert [token["id"] for token in worker.result("tokenize", prompt="ab", bos=False)["tokens"]] == [*b"ab"]
    assert worker.result("tokenize", prompt="", bos=False) == {"tokens": []}


@pytest.mark.parametrize("text", ["", "The cat", "é😀\0", "\ufffd"])
def test_the_text_of_tokens_is_the_text_that_was_tokenised(worker: Worker, text: str):
    ids = [token["id"] for token in worker.result("tokenize", prompt=text)["tokens"]]
    assert worker.result("detokenize", ids=ids) == {"text": text}


def test_bytes_that_are_no_utf_8_are_shown_as_such(worker: Worker):
    assert worker.result("detokenize", ids=[0xC3, 97]) == {"text": "\ufffda"}


@pytest.mark.parametrize("ids", [None, "1", [1.5], [True], [259], [-1]])
def test_ids_that_are_no_tokens_are_refused(worker: Worker, ids: object):
    assert worker.answer("detokenize", ids=ids)["error"]["code"] == "TokenOutOfRange"


@pytest.mark.parametrize(("method", "params"), [("tokenize", {"prompt": "a"}), ("detokenize", {"ids": [1]})])
def test_without_a_model_there_are_no_tokens(method: str, params: dict[str, Any]):
    assert Worker().answer(method, **params)["error"]["code"] == "ModelNotLoaded"


def test_a_token_tells_its_bytes_and_the_likeliest_where_that_is_asked_for(worker: Worker):
    worker.result("start", prompt="a", options=GREEDY | {"max_tokens": 2, "top_logprobs": 3})
    worker.result("advance", budget_ms=10_000)
    for (token, text, logprob, _, details), expected in zip(worker.emitted, "bc", strict=True):
        assert (token, text) == (ord(expected), expected)
        told = json.loads(details)
        assert told["bytes"] == [ord(expected)]
        assert told["top"][0] == {"id": token, "text": text, "bytes": [token], "logprob": logprob}
        logprobs = [other["logprob"] for other in told["top"]]
        assert (len(logprobs), logprobs) == (3, sorted(logprobs, reverse=True))
    assert worker.result("step").keys() == {"id", "text", "logprob", "index", "bytes", "top"}


def test_a_generation_that_asks_for_none_has_none_after_one_that_did(worker: Worker):
    worker.result("start", prompt="a", options=GREEDY | {"max_tokens": 1, "top_logprobs": 0})
    worker.result("advance", budget_ms=10_000)
    worker.result("start", prompt="a", options=GREEDY | {"max_tokens": 1})
    worker.result("advance", budget_ms=10_000)
    (first, second) = worker.emitted
    assert (json.loads(first[4]), len(second)) == ({"bytes": [98], "top": []}, 4)


@pytest.mark.parametrize("count", [-1, 21, 1.5, True, "3"])
def test_a_number_of_likeliest_tokens_outside_the_range_is_refused(worker: Worker, count: object):
    error = worker.answer("start", prompt="a", options=GREEDY | {"top_logprobs": count})["error"]
    assert (error["code"], error["detail"]["option"]) == ("OptionOutOfRange", "top_logprobs")


def test_a_step_answers_with_its_token(worker: Worker):
    worker.result("start", prompt="a", options=GREEDY | {"max_tokens": 1})
    worker.result("advance", budget_ms=1_000)
    assert worker.result("step").keys() == {"id", "text", "logprob", "index"}


def test_an_error_of_the_runtime_crosses_with_code_message_and_detail(worker: Worker):
    error = worker.answer("start", prompt="a", options={"top_k": 1025})["error"]
    assert error["code"] == "OptionOutOfRange"
    assert error["detail"]["option"] == "top_k"


def test_any_other_exception_becomes_runtime_failed(worker: Worker):
    error = worker.answer("no such method")["error"]
    assert error["code"] == "RuntimeFailed"
    assert "KeyError" in error["message"]


@pytest.mark.parametrize("prompt", [None, 7, True, ["a"], {"text": "a"}, ""])
def test_a_prompt_that_is_not_text_is_refused_by_what_it_is(worker: Worker, prompt: object):
    error = worker.answer("start", prompt=prompt, options=GREEDY)["error"]
    assert error["code"] == "EmptyPrompt"
    assert worker.result("start", prompt="a", options=GREEDY) == {}


@pytest.mark.parametrize(("data", "at"), [(b"\xff", 0), (b"ab\xc3", 2), (b"\xed\xa0\x80", 0), (b"a\xc0\x80", 1)])
def test_a_prompt_in_bytes_that_are_not_utf_8_is_refused_with_the_place(worker: Worker, data: bytes, at: int):
    error = worker.answer("start", data, options=GREEDY)["error"]
    assert error["code"] == "PromptNotUtf8"
    assert error["detail"] == {"byte": at, "prompt_bytes": len(data)}


def test_a_prompt_in_utf_8_is_read_as_the_text(worker: Worker):
    worker.result("start", "aé😀".encode(), options=GREEDY)
    worker.result("advance", budget_ms=0)
    assert worker.result("diagnostics")["prompt_tokens"] == 1 + len("aé😀".encode())


@pytest.mark.parametrize("options", [None, 7, "greedy", ["temperature"]])
def test_options_that_are_no_object_are_refused(worker: Worker, options: object):
    error = worker.answer("start", prompt="a", options=options)["error"]
    assert (error["code"], error["detail"]["option"]) == ("OptionOutOfRange", "options")


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_stop_while_the_prompt_is_read_ends_with_the_chunk(chunks: int):
    asked = itertools.count()
    app = App(NativeHost(), lambda *token: None, lambda: next(asked) >= chunks)
    app.request("load", "{}", ENDLESS)
    app.request("start", json.dumps({"prompt": "a" * 200, "options": GREEDY}))
    app.request("advance", json.dumps({"budget_ms": 10_000}))
    app.request("stop", "{}")
    figures = json.loads(app.request("diagnostics", "{}"))["result"]
    assert (figures["kv_cache_tokens"], figures["generated_tokens"]) == (16 * chunks, 0)
    assert figures["state"] == "context-ready"


def test_answers_are_ascii_whatever_they_hold(worker: Worker):
    answer = worker.app.request("start", json.dumps({"prompt": "a", "options": {"\u2028\0\"": 1}}))
    assert answer.isascii()
    assert answer.isprintable()
