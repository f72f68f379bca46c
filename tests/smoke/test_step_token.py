"""Step needs a context; then each step continues the transcript and adds one to the token counters."""

import pytest

from tests.engines.desk import EngineDesk

pytestmark = [pytest.mark.browser, pytest.mark.engines]


def counters(desk: EngineDesk) -> tuple[int, int]:
    return int(desk.figure("generated_tokens")), int(desk.figure("kv_cache_tokens"))


def test_step_token(engine_writer: EngineDesk):
    writer = engine_writer
    whole = [token["text"] for token in writer.tokens("The cat", temperature=0, max_tokens=8)]
    writer.press("reset")
    writer.reaches("model-ready")
    writer.press("clear")
    assert "step" not in writer.enabled()
    assert writer.refused("step")["code"] == "NoContext"

    writer.generate("The cat", temperature=0, max_tokens=5)
    generated, cached = counters(writer)
    for more in range(1, 4):
        assert "step" in writer.enabled()
        writer.press("step")
        writer.reaches("context-ready")
        assert counters(writer) == (generated + more, cached + more)
        assert writer.transcript == "The cat" + "".join(whole[: 5 + more])
