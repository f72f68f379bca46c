"""Replaying: the same run is found the same, and of another one the token is named at which the two part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.replay.runs import MODELS, opened, record, stack
from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ReplayError, SessionError
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache
from tinypylm.receipts import parse_receipt
from tinypylm.replay import Replay, Verdict
from tinypylm.session import Session
from tinypylm.states import State


@pytest.fixture(scope="module")
def receipt(session: Session) -> JsonObject:
    return json.loads(record(session))


def replayed(session: Session, receipt: JsonObject, stop_after: int | None = None) -> Verdict:
    told: list[int] = []
    replay = Replay(session, parse_receipt(canonical.dumps(receipt)))
    while not session.finished:
        replay.advance(lambda: True, lambda token, *_: told.append(token))
        if len(told) == stop_after:
            session.stop()
    return replay.verdict()


def changed(receipt: JsonObject, field: str, index: int, value: Any) -> JsonObject:
    values = list(receipt[field])
    values[index] = value
    return receipt | {field: values}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("with_adapters", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_run_is_found_the_same(kind: str, with_adapters: bool, threads: int):
    adapters = stack(kind) if with_adapters else ()
    one, other = opened(kind, adapters), opened(kind, adapters, threads=threads)
    verdict = replayed(other, json.loads(record(one)))
    assert (verdict.outcome, verdict.tokens, verdict.compared_tokens) == ("same", 40, 40)
    assert str(verdict) == "The same 40 tokens, all digests of logits equal."
    one.free()
    other.free()


@pytest.mark.parametrize("token", [0, 1, 15, 16, 39])
def test_another_id_is_named_with_its_token(session: Session, receipt: JsonObject, token: int):
    found = receipt["ids"][token]
    verdict = replayed(session, changed(receipt, "ids", token, found ^ 1))
    assert (verdict.outcome, verdict.compared_tokens) == ("parted", token + 1)
    assert verdict.detail() | {"token": token, "what": "id", "expected": str(found ^ 1), "found": str(found)} == (
        verdict.detail())
    assert str(verdict) == f"The runs part at token {token} of 40: id {found}, expected {found ^ 1}."


@pytest.mark.parametrize("index", [0, 1, 2])
def test_other_logits_are_named_with_their_token(session: Session, receipt: JsonObject, index: int):
    verdict = replayed(session, changed(receipt, "logits_sha256", index, "0" * 64))
    assert verdict.parting
    assert (verdict.parting.token, verdict.parting.what) == (16 * index, "logits")
    assert (verdict.parting.expected, verdict.parting.found) == ("0" * 64, receipt["logits_sha256"][index])


def test_the_first_of_two_differences_is_named(session: Session, receipt: JsonObject):
    both = changed(changed(receipt, "logits_sha256", 1, "0" * 64), "ids", 20, 0)
    assert replayed(session, both).parting.token == 16
    assert replayed(session, changed(both, "ids", 3, 300 ^ receipt["ids"][3])).parting.token == 3


@pytest.mark.parametrize(("digests", "token"), [([], 0), (2, 32), (4, 40)])
def test_missing_and_superfluous_digests_are_found(session: Session, receipt: JsonObject, digests: Any, token: int):
    shown = (receipt["logits_sha256"] * 2)[: digests or 0]
    parting = replayed(session, receipt | {"logits_sha256": shown}).parting
    assert (parting.token, parting.what) == (token, "logits")


ENDS = {
    "fewer tokens": ({"ids": 38}, (38, "length", "another token")),
    "another reason": ({"finish_reason": "stop"}, (40, "stop", "length")),
    "another limit": ({"max_tokens": "41"}, (40, "length", "another token")),
    "a lower limit": ({"max_tokens": "12"}, (12, "another token", "length")),
}


@pytest.mark.parametrize("name", ENDS)
def test_another_end_is_named_with_its_token(session: Session, receipt: JsonObject, name: str):
    changes, expected = ENDS[name]
    told = receipt | {"ids": receipt["ids"][: changes.get("ids")]}
    told |= {"finish_reason": changes.get("finish_reason", "length")}
    told["options"] = told["options"] | {key: changes[key] for key in changes if key == "max_tokens"}
    parting = replayed(session, told).parting
    assert (parting.token, parting.what, parting.expected, parting.found) == (expected[0], "end", *expected[1:])


def test_another_prompt_parts_at_the_first_token(session: Session, receipt: JsonObject):
    parting = replayed(session, changed(receipt, "prompt_ids", -1, 33)).parting
    assert (parting.token, parting.what) == (0, "logits")


@pytest.mark.parametrize(
    ("option", "value"),
    [("seed", "7"), ("temperature", "9.0"), ("top_k", "1"), ("top_p", "0.01"), ("min_p", "1.0"),
     ("repetition_penalty", "5.0"), ("stop_strings", ["e", "a", "t", "o", "n", " "])],
)
def test_another_option_is_found(session: Session, receipt: JsonObject, option: str, value: object):
    verdict = replayed(session, receipt | {"options": receipt["options"] | {option: value}})
    assert verdict.outcome == "parted"
    assert 0 <= verdict.parting.token < 40


@pytest.mark.parametrize("stop_after", [0, 1, 16, 17])
def test_a_run_that_was_stopped_is_replayed_as_far_as_it_went(session: Session, stop_after: int):
    verdict = replayed(session, json.loads(record(session, stop_after=stop_after)))
    assert (verdict.outcome, verdict.tokens, verdict.compared_tokens) == ("same", stop_after, stop_after)


def test_a_replay_that_is_stopped_says_how_far_it_came(session: Session, receipt: JsonObject):
    verdict = replayed(session, receipt, stop_after=5)
    assert verdict.outcome == "stopped"
    assert str(verdict) == "Stopped after 5 of 40 tokens, all the same so far."


def test_another_runtime_replays_all_the_same_and_says_so(session: Session, receipt: JsonObject):
    elsewhere = receipt | {"runtime_sha256": "0" * 64}
    same, parted = replayed(session, elsewhere), replayed(session, changed(elsewhere, "ids", 2, 0))
    assert (same.outcome, same.same_runtime) == ("same", False)
    assert str(same).endswith("equal. The receipt was made by another runtime than this one.")
    assert str(parted).endswith("The receipt was made by another runtime than this one, which may be why.")


def refusal(session: Session, receipt: JsonObject) -> tuple[str, str]:
    state = session.state
    with pytest.raises(ReplayError) as refused:
        Replay(session, receipt)
    assert session.state is state
    return refused.value.code, refused.value.message


def test_another_model_is_refused(session: Session, receipt: JsonObject):
    code, message = refusal(session, receipt | {"model_sha256": "0" * 64})
    assert code == ErrorCode.RECEIPT_MODEL_MISMATCH
    assert receipt["model_sha256"] in message
    assert "0" * 64 in message


def test_other_adapters_are_refused(session: Session, receipt: JsonObject):
    packages = stack("q8_0")
    adapted = opened("q8_0", packages)
    rows = json.loads(record(adapted))["adapters"]
    other_scale = [rows[0], {**rows[1], "scale_bits": "3f800000"}]
    for found, expected in ((session, rows), (adapted, []), (adapted, rows[::-1]), (adapted, rows[:1]),
                            (adapted, [*rows, rows[0]]), (adapted, other_scale)):
        assert refusal(found, receipt | {"adapters": expected})[0] == ErrorCode.RECEIPT_ADAPTER_MISMATCH
    assert "with scale 0.1, expected" in refusal(adapted, receipt | {"adapters": other_scale})[1]
    adapted.free()


def test_another_cache_of_keys_and_values_is_refused(receipt: JsonObject):
    session = opened("q8_0", kv_cache=KVCache.F16)
    code, message = refusal(session, receipt)
    session.free()
    assert code == ErrorCode.RECEIPT_CACHE_MISMATCH
    assert "found f16, expected f32" in message


@pytest.mark.parametrize(("prompt_ids", "code"), [([259], "TokenOutOfRange"), ([1] * 65, "ContextExceeded")])
def test_a_prompt_that_is_none_of_this_model_is_refused(
    session: Session, receipt: JsonObject, prompt_ids: list[int], code: str
):
    with pytest.raises(SessionError) as refused:
        Replay(session, receipt | {"prompt_ids": prompt_ids})
    assert refused.value.code == code
    assert session.finished


def test_without_a_model_nothing_is_replayed(receipt: JsonObject):
    session = Session(NativeHost())
    with pytest.raises(SessionError) as refused:
        Replay(session, receipt)
    assert refused.value.code is ErrorCode.MODEL_NOT_LOADED
    assert session.state is State.NO_MODEL
