"""A helper thread that dies, fails or hangs: the page says so within bounded time, and a restart works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, Worker

from tests.session.scripted_model import scripted_model
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

ENDLESS = scripted_model(b"abcdefgh", context_length=8192, ends=False)

KEEP_HELPERS = """
const Started = self.Worker;
self.helpers = [];
self.Worker = class extends Started {
  constructor(...how) {
    super(...how);
    self.helpers.push(this);
  }
};
"""
FAILS = 'WebAssembly.instantiate = () => Promise.reject(new Error("refused"));\n'
HANGS = "WebAssembly.instantiate = () => new Promise(() => undefined);\n"


def preceded_by(code: str) -> Callable[[Route], None]:
    """A script as the server has it, with `code` in front."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=code + response.text())

    return answer


def desk_with(browser: Browser, server: str, query: str, **scripts: Callable[[Route], None]) -> tuple[BrowserContext, Desk]:
    """A page whose scripts, by name, are answered as these functions do, once."""
    context = browser.new_context()
    page = context.new_page()
    for name, answer in scripts.items():
        page.route(f"**/{name}.js", answer, times=1)
    return context, Desk(page, server, query)


def own_worker(desk: Desk) -> Worker:
    return next(worker for worker in desk.page.workers if worker.url.endswith("/worker.js"))


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
    context, desk = desk_with(browser, server, "?threads=2", worker=preceded_by(KEEP_HELPERS))
    with context:
        desk.reaches("ready")
        desk.open_file("endless.slm", ENDLESS)
        desk.write("a", max_tokens=8000)
        desk.press("generate")
        desk.page.locator("#transcript .text", has_text="bcdefgh").wait_for()
        own_worker(desk).evaluate("void setTimeout(() => self.helpers[0].terminate(), 50)")
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        assert desk.notice.startswith("Helper thread 1 has stopped")
        assert "?threads=1" in desk.notice
        assert desk.enabled() == {"restart", "clear"}
        assert desk.transcript.startswith("abcdefgh")
        recovers(desk)
        assert desk.errors == []


def test_a_helper_whose_code_fails_is_noticed_before_it_is_waited_for(browser: Browser, server: str):
    context, desk = desk_with(browser, server, f"?threads=2&model={STORYTELLER}", helper=preceded_by(FAILS))
    with context:
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        recovers(desk)


def test_a_helper_that_cannot_be_fetched_fails_the_start(browser: Browser, server: str):
    missing = lambda route: route.fulfill(status=404, body="not found")  # noqa: E731
    context, desk = desk_with(browser, server, "?threads=2", helper=missing)
    with context:
        desk.shows("HelperLost")
        assert desk.state == "runtime-failed"
        assert "could not be started" in desk.notice
        recovers(desk)


@pytest.mark.slow  # ten seconds: how long the engine waits for a thread that does not come
def test_a_helper_that_hangs_is_given_up(browser: Browser, server: str):
    context, desk = desk_with(browser, server, f"?threads=2&model={STORYTELLER}", helper=preceded_by(HANGS))
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
