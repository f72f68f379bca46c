"""A prompt beyond the context names both counts and changes nothing; a shorter one is then written as ever."""

import pytest

from tests.engines.desk import EngineDesk
from tests.session.scripted_model import scripted_model

pytestmark = [pytest.mark.browser, pytest.mark.engines]

CONTEXT = 24


def test_context_exceeded(engine_desk: EngineDesk):
    desk = engine_desk
    desk.open_file("short.slm", scripted_model(b"abcdefgh", context_length=CONTEXT, ends=False))
    desk.generate("xa", temperature=0, max_tokens=4)
    before = desk.transcript, desk.enabled(), desk.figure("kv_cache_tokens")
    assert before[0] == "xabcde"

    desk.write("x" * CONTEXT)  # and the begin token
    desk.press("generate")
    desk.shows("ContextExceeded")
    desk.reaches("context-ready")
    assert f"{CONTEXT + 1} tokens" in desk.notice
    assert f"holds {CONTEXT}" in desk.notice
    assert (desk.transcript, desk.enabled(), desk.figure("kv_cache_tokens")) == before
    assert desk.figure("last_error_code") == "ContextExceeded"

    desk.press("step")  # the context that stood is the one that goes on
    desk.reaches("context-ready")
    assert desk.transcript == "xabcdef"
    desk.press("clear")
    desk.generate("x" * (CONTEXT - 2) + "a", temperature=0, max_tokens=9)
    assert (desk.code, desk.transcript) == ("", "x" * (CONTEXT - 2) + "ab")  # full: one token follows
    assert desk.refused("step")["detail"]["context_length"] == CONTEXT
    assert desk.state == "context-ready"
    desk.generate("a", temperature=0, max_tokens=3)
    assert desk.transcript.endswith("abcd")
