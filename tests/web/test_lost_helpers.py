"""A helper thread that dies, fails or hangs: the page says so within bounded time, and a restart works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Route

from tests.session.scripted_model import scripted_model
from tests.web.altered import WEB, replace_and_name
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)

FAILS = "super.postMessage({module: null, memory, thread})"
HANGS = "0"
OTHER_WORKERS = """
const Started = self.Worker;
self.helpers = [];
new BroadcastChannel("end").addEventListener("message", () => self.helpers[0].terminate());
self.Worker = class extends Started {
  constructor(address, how) {
    super(address, how);
    self.helpers.push(this);
  }
  postMessage(share) {
    const {module, memory, thread} = share;
    SEND;
  }
};
"""


def helpers(send: str = "super.postMessage(share)") -> str:
    """What makes the worker keep its helpers in `self.helpers`, and instruct them so."""
    return OTHER_WORKERS.replace("SEND", send)


def desk_with(browser: Browser, server: str, query: str, code: str) -> tuple[BrowserContext, Desk]:
    """A page whose first worker runs `code` before anything asks for a helper."""
    context = browser.new_context()
    page = context.new_page()

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=code + response.text())

    page.route("**/worker.js", answer, times=1)
    return context, Desk(page, server, query)


def recovers(desk: Desk) -> None:
    """Restarts, with scripts as they are, and generates."""
    desk.press("restart")
    desk.reaches("ready")
    assert desk.code == ""
    desk.choose(STORYTELLER)
    desk.generate("The cat", max_tokens=8)
    assert desk.state == "context-ready"
    assert desk.figure("threads") == "2"


def test_a_helper_that_dies_while_it_is_needed_ends_the_runtime_with_its_own_code(browser: Browser, server: str):
    context, desk = desk_with(browser, server, "?threads=2", helpers())
    with context:
        desk.reaches("ready")
        desk.open_file("endless.slm", ENDLESS)
        desk.write("a", max_tokens=32000)
        desk.press("generate")
        desk.page.locator("#transcript .text", has_text="bcdefgh").wait_for()
        desk.page.evaluate("new BroadcastChannel('end').postMessage(null)")
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        assert desk.notice.startswith("Helper thread 1 has stopped")
        assert "?threads=1" in desk.notice
        assert desk.enabled() == {"restart", "clear"}
        assert desk.transcript.startswith("abcdefgh")
        recovers(desk)
        assert desk.errors == []


def test_a_helper_whose_code_fails_is_noticed_before_it_is_waited_for(browser: Browser, server: str):
    context, desk = desk_with(browser, server, f"?threads=2&model={STORYTELLER}", helpers(send=FAILS))
    with context:
        desk.reaches("loading", "model-ready", "runtime-failed")
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        recovers(desk)


def test_a_helper_that_cannot_be_fetched_fails_the_start(browser: Browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        script = (WEB / "trusted-script.js").read_text()
        elsewhere = script.replace("new URL(name,", 'new URL(name.replace("helper", "nothing"),')
        replace_and_name(page, "trusted-script.js", elsewhere.encode())
        desk = Desk(page, server, "?threads=2")
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        assert "could not be started" in desk.notice
        assert desk.enabled() == {"restart", "clear"}


@pytest.mark.slow  # ten seconds: how long the engine waits for a thread that does not come
def test_a_helper_that_hangs_is_given_up(browser: Browser, server: str):
    context, desk = desk_with(browser, server, f"?threads=2&model={STORYTELLER}", helpers(send=HANGS))
    with context:
        desk.reaches("model-ready")
        desk.write("The cat", max_tokens=8)
        desk.press("generate")
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        assert "within 10 seconds" in desk.notice
        recovers(desk)


@pytest.mark.parametrize("query", ["?threads=0", f"?threads=5&model={STORYTELLER}"])
def test_a_number_of_threads_out_of_range_is_refused_by_name(new_desk: Callable[[str], Desk], query: str):
    desk = new_desk(query)
    desk.reaches("model-ready" if "model" in query else "ready")
    assert desk.code == "ThreadsOutOfRange"
    assert "1 to 4" in desk.notice
    assert desk.figure("threads") in "1234"
    assert desk.errors == []
