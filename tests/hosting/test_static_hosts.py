"""An exported site on servers that are not ours, under a path: it starts, loads its model, and writes the same text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, BrowserContext

from tests.hosting.hosts import plain_host, telling_host
from tests.hosting.whitenoise_host import PATH
from tests.web.desk import LONG_ENOUGH_MS, STORYTELLER, Desk
from tinypylm_tools.cli import main

pytestmark = pytest.mark.browser

PROMPT, OPTIONS = "Once upon a time", {"seed": 7, "max_tokens": 24}
ISOLATED = "[crossOriginIsolated, document.querySelectorAll('#model-select option').length]"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        yield context


@pytest.fixture(scope="module")
def story(repo_root: Path) -> str:
    """What CPython writes."""
    model = repo_root / "models" / f"{STORYTELLER}.slm"
    arguments = ["generate", str(model), "--prompt", PROMPT, "--seed", "7", "--max-tokens", "24"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.removesuffix("\n")


def written(desk: Desk) -> str:
    """The text of one generation, after everything that loading needs has come from this host."""
    desk.reaches("model-ready")
    return "".join(token["text"] for token in desk.tokens(PROMPT, **OPTIONS))


def test_a_host_that_adds_nothing_runs_the_page_with_one_thread(
    context: BrowserContext, public: Path, story: str
) -> None:
    with plain_host(public) as address:
        desk = Desk(context.new_page(), address + PATH, f"/?model={STORYTELLER}&threads=2")
        assert written(desk) == story
        assert desk.page.evaluate(ISOLATED) == [False, 2]
        assert desk.figure("threads") == "1"
        assert desk.errors == []
        assert {url for url in desk.requests if not url.startswith((address + PATH, "blob:", "data:"))} == set()


def test_a_host_that_sends_the_fields_of_headers_gives_threads(context: BrowserContext, site: Path, story: str) -> None:
    with telling_host(site) as address:
        desk = Desk(context.new_page(), address, f"?model={STORYTELLER}&threads=2")
        assert written(desk) == story
        assert desk.page.evaluate(ISOLATED) == [True, 2]
        assert desk.figure("threads") == "2"
        assert desk.errors == []


def test_the_policy_of_headers_is_enforced(context: BrowserContext, site: Path) -> None:
    with telling_host(site) as address:
        page = context.new_page()
        page.goto(address + "icon.svg")
        inserted = "() => { try { document.documentElement.innerHTML = '<g/>' } catch (error) { return error.name } }"
        assert page.evaluate(inserted) == "TypeError"


KINDS = ("model", "snapshot", "derived")
KEPT = "() => import('./kept.js').then((kept) => kept.listKept()).then((files) => files.map(({name}) => name))"


def test_two_sites_of_one_host_list_each_only_its_own_kept_files(
    context: BrowserContext, public: Path, site: Path
) -> None:
    """The Cache API belongs to the whole host."""
    (public / "twin").symlink_to(site)
    with plain_host(public) as address:
        desk = Desk(context.new_page(), address + PATH, f"/?model={STORYTELLER}")
        desk.page.locator("#kept tbody tr").nth(2).wait_for(state="attached", timeout=LONG_ENOUGH_MS)
        assert len(desk.page.evaluate(KEPT)) == 3
        twin = Desk(context.new_page(), address + "twin/")
        assert [name for name in twin.page.evaluate(KEPT) if name.split("/")[0] not in KINDS] == []
