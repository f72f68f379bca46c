"""Starting Python costs seconds, so the tests of a working page share one; those that break a page make their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.desk import STORYTELLER, Desk


@pytest.fixture(scope="session")
def shared_desk(browser: Browser, server: str) -> Iterator[Desk]:
    with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
        desk = Desk(context.new_page(), server)
        desk.reaches("ready")
        yield desk


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """The shared page with no model and an empty transcript. A test that provokes errors takes them out."""
    page = shared_desk.page
    page.unroute_all()
    if shared_desk.state == "model-rejected":
        shared_desk.choose()
    if shared_desk.state in ("model-ready", "context-ready"):
        shared_desk.press("free")
        shared_desk.reaches("ready")
    shared_desk.press("clear")
    page.evaluate(DEFAULTS)
    yield shared_desk
    errors, shared_desk.errors = shared_desk.errors, []
    assert errors == []


DEFAULTS = """() => {
  for (const control of document.querySelectorAll("textarea, .options input")) control.value = control.defaultValue;
}"""


@pytest.fixture
def writer(desk: Desk) -> Desk:
    """The shared page with the storyteller loaded and no context."""
    desk.choose(STORYTELLER)
    return desk


@pytest.fixture
def new_desk(browser: Browser, server: str) -> Iterator[Callable[[str], Desk]]:
    """Opens pages of their own, which a test may break."""
    contexts = []

    def open_desk(query: str = "") -> Desk:
        contexts.append(browser.new_context())
        return Desk(contexts[-1].new_page(), server, query)

    yield open_desk
    for context in contexts:
        context.close()
