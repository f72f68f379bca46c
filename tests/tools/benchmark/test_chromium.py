"""The browser under measurement: what its pages answer, and what becomes of one that fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.benchmark import chromium
from tinypylm_tools.benchmark.chromium import Chromium, open_chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened() -> Iterator[Chromium]:
    with open_chromium() as browser:
        yield browser


def test_a_page_computes_with_what_it_is_given(opened: Chromium, server: str) -> None:
    page = opened.open(server, before="globalThis.first = 40;")
    assert page.evaluate("async (more) => first + (await more)", 2) == 42
    assert page.evaluate("() => location.href") == server
    page.close()


def test_private_pages_share_nothing_and_others_do(opened: Chromium, server: str) -> None:
    def kept(private: bool) -> list[object]:
        pages = [opened.open(server, private=private) for _ in range(2)]
        pages[0].evaluate("() => { localStorage.kept = 'here'; }")
        found = pages[1].evaluate("() => localStorage.kept ?? null")
        for page in pages:
            page.close()
        return [found]

    assert (kept(private=True), kept(private=False)) == ([None], ["here"])


def test_what_a_page_throws_is_said(opened: Chromium, server: str) -> None:
    page = opened.open(server)
    with pytest.raises(ToolError, match="Error: as it was meant"):
        page.evaluate("() => { throw new Error('as it was meant'); }")
    page.close()


def test_an_address_where_nobody_listens_is_said(opened: Chromium) -> None:
    with pytest.raises(ToolError, match="did not open: net::ERR_") as raised:
        opened.open("http://127.0.0.1:9/")
    assert raised.value.code is ErrorCode.RUNTIME_FAILED


def test_an_element_that_does_not_come_is_said(
    opened: Chromium, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "ELEMENT_SECONDS", 0.2)
    page = opened.open(server)
    with pytest.raises(ToolError, match="#nothing"):
        page.wait_for("#nothing")
    page.close()


def test_a_browser_that_dies_is_said(server: str) -> None:
    with pytest.raises(ToolError, match="does not answer") as raised:
        ask_a_dead_browser(server)
    assert raised.value.code is ErrorCode.RUNTIME_FAILED


def ask_a_dead_browser(server: str) -> None:
    with open_chromium() as browser:
        page = browser.open(server)
        processes = browser.send("SystemInfo.getProcessInfo")["processInfo"]
        (process,) = (one["id"] for one in processes if one["type"] == "browser")
        os.kill(process, signal.SIGKILL)
        for _ in range(100):
            page.evaluate("() => 1")


def test_a_browser_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "browser"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("TINYPYLM_BROWSER", str(broken))
    with pytest.raises(ToolError, match="exit status is 3") as raised, open_chromium():
        pass
    assert raised.value.code is ErrorCode.BROWSER_MISSING
