"""A host that names files wrongly: browsers run none of them, and the page says which it was and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.hosting.hosts import telling_host
from tests.web.desk import LONG_ENOUGH_MS, Desk

pytestmark = pytest.mark.browser

Open = Callable[[dict[str, str]], Desk]


@pytest.fixture
def visit(browser: Browser, site: Path) -> Iterator[Open]:
    """Opens the page on a host with these media types."""
    with ExitStack() as stack:

        def open_desk(types: dict[str, str]) -> Desk:
            address = stack.enter_context(telling_host(site, types=types))
            return Desk(stack.enter_context(browser.new_context()).new_page(), address)

        yield open_desk


@pytest.mark.parametrize(
    ("suffix", "wrong", "files", "right"),
    [
        (".wasm", "application/octet-stream", ["pyodide.asm.wasm"], "application/wasm"),
        (".mjs", "text/plain", ["pyodide.mjs", "pyodide.asm.mjs"], "text/javascript"),
    ],
)
def test_pyodide_under_a_wrong_media_type_is_named_with_the_right_one(
    visit: Open, suffix: str, wrong: str, files: list[str], right: str
) -> None:
    """Of two that are asked for at once, either may fail first."""
    desk = visit({suffix: wrong})
    desk.shows("MediaTypeWrong")
    assert desk.state == "runtime-failed"
    assert any(f"/vendor/pyodide/{file} came with the media type {wrong}" in desk.notice for file in files)
    assert f"Have the host send {suffix} files as {right}" in desk.notice


def test_where_no_script_runs_the_page_says_so_by_itself(visit: Open) -> None:
    desk = visit({".js": "text/plain"})
    says = desk.page.locator("#status .unstarted")
    expect(says).to_be_visible(timeout=LONG_ENOUGH_MS)
    assert ".js files as text/javascript" in says.inner_text()


def test_models_and_evidence_may_have_any_media_type(visit: Open) -> None:
    names = (".slm", ".json", ".registry", ".ledger", ".whl", ".zip", ".snapshot")
    desk = visit(dict.fromkeys(names, "text/plain"))
    desk.choose()
    assert desk.state == "model-ready"
    assert desk.errors == []
