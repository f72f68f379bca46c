"""What tests of every folder share: the tree, a running serve.py, and a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.engines import NAMES
from tinypylm_tools.browser import find_browser, launch_arguments

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# One slow example on a busy machine says nothing about the code.
settings.register_profile("tinypylm", deadline=None)
settings.load_profile("tinypylm")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--headed", action="store_true", help="show the browser")
    parser.addoption("--engine", choices=NAMES, default="chromium", help="of the journeys for every engine: where")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In another engine than Chromium there is only what needs no more than a tab."""
    if config.getoption("--engine") == "chromium":
        return
    others = [item for item in items if not item.get_closest_marker("engines")]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def server(repo_root: Path) -> Iterator[str]:
    """The address, with its final slash, of a serve.py that runs for the whole session."""
    command = [sys.executable, str(repo_root / "serve.py"), "--port", "0"]
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout
            address = process.stdout.readline().strip()
            if not address:
                log.seek(0)
                pytest.fail(f"serve.py did not start: {log.read()}")
            yield address
            process.terminate()
        assert process.returncode == 0 or os.name == "nt"  # there, terminating is not a signal that it can end on


@pytest.fixture(scope="session")
def browser_path() -> Path:
    return find_browser()


@pytest.fixture(scope="session")
def browser(browser_path: Path, pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Chromium through Playwright, whose driver needs no download of its own when it is given an executable."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        headless = not pytestconfig.getoption("--headed")
        chromium = playwright.chromium.launch(
            executable_path=browser_path, args=launch_arguments(), headless=headless)
        yield chromium
        chromium.close()


@pytest.fixture
def page_errors() -> Iterator[list[str]]:
    """What `page` logged as an error or threw. A test that provokes some takes them out; the rest fail it."""
    errors: list[str] = []
    yield errors
    assert errors == []


@pytest.fixture
def page(browser: Browser, page_errors: list[str]) -> Iterator[Page]:
    """A page in a profile of its own, empty, with its errors in `page_errors`."""
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: page_errors.append(f"uncaught: {error}"))
        page.on("console", lambda message: page_errors.append(message.text) if message.type == "error" else None)
        yield page
