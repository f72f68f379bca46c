"""A worker that dies while it loads, writes or waits is noticed; Restart starts another, and the transcript stays."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.session.scripted_model import scripted_model
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

ENDLESS = scripted_model(b"abcdefgh", context_length=8192, ends=False)
LOAD = """() => {
  window.outcome = tinypylm.load("storyteller-2m-q8_0").then(() => "loaded", (error) => error.code);
}"""


def test_worker_crash(new_desk: Callable[[str], Desk]):
    desk = new_desk("")
    desk.reaches("ready")
    desk.open_file("endless.slm", ENDLESS)
    desk.write("a", max_tokens=8000)
    desk.press("generate")
    desk.page.locator("#transcript .text", has_text="bcdefgh").wait_for()
    desk.page.wait_for_timeout(300)  # figures are being asked for, too
    crash(desk)

    desk.choose(STORYTELLER)
    told = desk.tokens("The cat", temperature=0, max_tokens=12)
    crash(desk)  # with a context, at rest

    waiting: list[Route] = []
    desk.page.route("**/models/*.slm", lambda route: waiting.append(route))  # noqa: PLW0108 - it marks its handler
    desk.page.evaluate(LOAD)
    desk.reaches("loading")
    crash(desk)
    assert desk.page.evaluate("outcome") == "RuntimeFailed"
    for route in waiting:
        route.abort()
    desk.page.unroute_all()

    desk.choose(STORYTELLER)
    assert desk.tokens("The cat", temperature=0, max_tokens=12) == told
    assert [error for error in desk.errors if "ERR_FAILED" not in error] == []


def crash(desk: Desk) -> None:
    """The worker dies; every request says so; after Restart the page is ready and the transcript as it was."""
    (worker,) = [worker for worker in desk.page.workers if worker.url.endswith("/worker.js")]
    worker.evaluate("self.close()")
    desk.reaches("runtime-failed")
    desk.shows("RuntimeFailed")
    assert desk.enabled() == {"restart", "clear"}
    text = desk.transcript
    for method, *arguments in (("generate", "a", {}), ("step",), ("load", STORYTELLER), ("reset",), ("free",)):
        assert desk.refused(method, *arguments)["code"] == "RuntimeFailed"
    assert desk.page.evaluate("tinypylm.stop()") == {"stopped": False}
    desk.press("restart")
    desk.reaches("ready")
    assert (desk.code, desk.transcript) == ("", text)
    assert desk.figure("model_id") == ""
