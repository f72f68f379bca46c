"""Free unloads the model: its memory is given back, requests say ModelNotLoaded, and it can be loaded again."""

import pytest

from tests.engines.desk import EngineDesk
from tests.web.desk import STORYTELLER

pytestmark = [pytest.mark.browser, pytest.mark.engines]

GREEDY = {"temperature": 0, "max_tokens": 12}
OF_A_MODEL = ("model_id", "quantization", "file_bytes", "linear_memory_bytes", "kv_cache_bytes", "scratch_arena_bytes")


def test_free_model(engine_writer: EngineDesk):
    writer = engine_writer
    told = writer.tokens("The cat", **GREEDY)
    transcript = writer.transcript
    for _ in range(2):
        assert all(writer.figure(key) for key in OF_A_MODEL)
        writer.press("free")
        writer.reaches("ready")
        assert [writer.figure(key) for key in OF_A_MODEL] == [""] * len(OF_A_MODEL)
        assert (writer.figure("kv_cache_tokens"), writer.figure("generated_tokens")) == ("0", "0")
        assert writer.value("model-select") == ""
        assert writer.enabled() == {"model-select", "model-file", "clear"}
        for method, *arguments in (("generate", "The cat", {}), ("step",), ("reset",), ("free",)):
            assert writer.refused(method, *arguments)["code"] == "ModelNotLoaded"
        assert writer.transcript == transcript
        writer.choose(STORYTELLER)
        assert writer.tokens("The cat", **GREEDY) == told
        transcript += transcript
