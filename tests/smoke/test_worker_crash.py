"""A worker that dies while it loads, writes or waits is noticed; Restart starts another, and the transcript stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engines import Tab
from tests.engines.desk import EngineDesk
from tests.session.scripted_model import scripted_model
from tests.smoke.site import Site
from tests.web.altered import WEB
from tests.web.desk import STORYTELLER

pytestmark = [pytest.mark.browser, pytest.mark.engines]

ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)
OTHER = "storyteller-2m-q4_0"  # which is on no device yet
ENDS_WHEN_TOLD = 'new BroadcastChannel("end").addEventListener("message", () => self.close());\n'
END = "new BroadcastChannel('end').postMessage(null)"
LOAD = "(id) => void (window.outcome = tinypylm.load(id).then(() => 'loaded', (error) => error.code))"
WRITES = """() => document.querySelector("#transcript .text")?.textContent.includes("bcdefgh") &&
  Number(document.querySelector("#diagnostics [data-key=generated_tokens]").textContent) > 0"""
WORKERS = """async () => {
  const { held } = await navigator.locks.query();
  return held.filter(({ name }) => /^tinypylm(-\\d+){4}$/.test(name)).length;
}"""


def test_worker_crash(new_tab: Callable[[], Tab], site: Site):
    site.rewrite("worker.js", (WEB / "worker.js").read_text("utf-8") + ENDS_WHEN_TOLD)
    desk = EngineDesk(new_tab(), site.address)
    desk.open_file("endless.slm", ENDLESS)
    desk.write("a", max_tokens=32000)
    desk.press("generate")
    assert desk.until(WRITES)  # and figures are being asked for, too
    assert desk.state == "generating"
    crash(desk)

    desk.choose(STORYTELLER)
    told = desk.tokens("The cat", temperature=0, max_tokens=12)
    crash(desk)  # with a context, at rest

    with site.held(f"models/{OTHER}.slm"):
        desk.evaluate(LOAD, OTHER)
        assert desk.state == "loading"
        crash(desk)
        assert desk.evaluate("outcome") == "RuntimeFailed"

    desk.choose(STORYTELLER)
    assert desk.tokens("The cat", temperature=0, max_tokens=12) == told
    assert desk.errors == []


def crash(desk: EngineDesk) -> None:
    """The worker dies; every request says so; after Restart the page is ready and the transcript as it was."""
    assert desk.evaluate(WORKERS) == 1
    desk.evaluate(END)
    desk.reaches("runtime-failed")
    desk.shows("RuntimeFailed")
    assert desk.enabled() == {"restart", "clear"}
    text = desk.transcript
    for method, *arguments in (("generate", "a", {}), ("step",), ("load", STORYTELLER), ("reset",), ("free",)):
        assert desk.refused(method, *arguments)["code"] == "RuntimeFailed"
    assert desk.evaluate("tinypylm.stop()") == {"stopped": False}
    desk.press("restart")
    desk.reaches("ready")
    assert (desk.code, desk.transcript) == ("", text)
    assert desk.figure("model_id") == ""
