"""Starting Python costs seconds, so the tests of a working page share one; those that break a page make their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.web.desk import STORYTELLER, Desk, empty
from tests.web.shelf import Shelf, make


@pytest.fixture(scope="session")
def shared_desk(browser: Browser, server: str) -> Iterator[Desk]:
    with browser.new_context(viewport={"width": 1280, "height": 860}) as context:
        context.add_init_script("delete globalThis.caches")  # models come from the server, whatever a test did before
        desk = Desk(context.new_page(), server)
        desk.reaches("ready")
        yield desk


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """The shared page with no model and an empty transcript. A test that provokes errors takes them out."""
    page = shared_desk.page
    page.unroute_all()
    empty(shared_desk)
    page.evaluate(DEFAULTS)
    yield shared_desk
    errors, shared_desk.errors = shared_desk.errors, []
    assert errors == []


DEFAULTS = """() => {
  for (const control of document.querySelectorAll("textarea, .options input")) control.value = control.defaultValue;
  document.querySelector("#receipts").open = false;
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


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models with evidence: one plain, one with two adapters."""
    return make(tmp_path_factory.mktemp("shelf") / "models")


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder)


@pytest.fixture(scope="module")
def module_desk(browser: Browser, server: str, folder: Path) -> Iterator[Desk]:
    """A page that knows the shelf's models, with no Cache API: every file comes from the shelf."""
    with browser.new_context() as context:
        context.add_init_script("delete globalThis.caches")
        page = context.new_page()
        Shelf(folder).serve(page)
        desk = Desk(page, server)
        desk.reaches("ready")
        yield desk


@pytest.fixture
def reader(module_desk: Desk, shelf: Shelf) -> Desk:
    """The page, which sees `shelf` from now on - but for the registry, which it has read."""
    module_desk.page.unroute_all()
    shelf.serve(module_desk.page)
    module_desk.requests.clear()
    module_desk.errors.clear()
    return module_desk


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Callable[[Shelf, str], Desk]]:
    """Opens a page of its own on a shelf, registry included."""
    contexts = []

    def open_desk(shelf: Shelf, query: str = "") -> Desk:
        contexts.append(browser.new_context())
        contexts[-1].add_init_script("delete globalThis.caches")
        page = contexts[-1].new_page()
        shelf.serve(page)
        return Desk(page, server, query)

    yield open_desk
    for context in contexts:
        context.close()


START = """async () => {
  const vendor = new URL("vendor/", location.href).href;
  const wheels = await (await fetch(`${vendor}manifest.json`)).json();
  const {loadPyodide} = await import(`${vendor}pyodide/pyodide.mjs`);
  window.python = await loadPyodide({indexURL: `${vendor}pyodide/`, packages: [vendor + wheels.runtime_wheel]});
  await python.runPythonAsync(`
from tinypylm.errors import EngineError
from tinypylm.hosts.browser import BrowserHost
host = BrowserHost()
module = bytes.fromhex("""

# (module (import "env" "memory" (memory 2 2)) (func (export "add") (param i32 i32) (result i32)
#   local.get 0 local.get 1 i32.add) (func (export "nothing")) (func (export "trap") unreachable))
MODULE = (
    "0061736d01000000" "010a0260027f7f017f600000" "021001" "03656e76" "066d656d6f7279" "02010202"
    "0304030001" "01" "07180303616464" "0000" "076e6f7468696e67" "0001" "0474726170" "0002"
    "0a10030700200020016a0b" "02000b" "0300000b"
)


@pytest.fixture(scope="session")
def python(browser: Browser, server: str) -> Iterator[Callable[[str], Any]]:
    """Runs an expression or statements in a page that has Python; the value of the last one."""
    with browser.new_context() as context:
        page: Page = context.new_page()
        page.goto(f"{server}icon.svg")
        page.evaluate(START + f"'{MODULE}')\n`);\n}}")
        yield lambda source: page.evaluate("(source) => python.runPythonAsync(source)", source)
