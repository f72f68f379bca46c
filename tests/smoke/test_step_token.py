"""Step needs a context; then each step continues the transcript and adds one to the token counters."""

import pytest

from tests.web.desk import Desk

pytestmark = pytest.mark.browser


def counters(desk: Desk) -> tuple[int, int]:
    return int(desk.figure("generated_tokens")), int(desk.figure("kv_cache_tokens"))


def test_step_token(writer: Desk):
    whole = [token["text"] for token in writer.tokens("The cat", temperature=0, max_tokens=8)]
    writer.press("reset")
    writer.reaches("model-ready")
    writer.press("clear")
    assert writer.element("step").is_disabled()
    assert writer.refused("step")["code"] == "NoContext"

    writer.generate("The cat", temperature=0, max_tokens=5)
    generated, cached = counters(writer)
    for more in range(1, 4):
        assert writer.element("step").is_enabled()
        writer.press("step")
        writer.reaches("context-ready")
        assert counters(writer) == (generated + more, cached + more)
        assert writer.transcript == "The cat" + "".join(whole[: 5 + more])
