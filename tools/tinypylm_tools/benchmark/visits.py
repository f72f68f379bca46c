"""How long a visitor waits for a model that can generate: with an empty cache, and then with a full one."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tinypylm_tools.browser import find_browser, launch_arguments
from tinypylm_tools.evaluation.defaults import smoke_items
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.model_file import ModelFile

from .engines import LOADED_PEER, TIMEOUT_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUR_PAGE_LOADED = "#status[data-state=model-ready]"
OUR_FILES_KEPT = "#kept tbody tr:nth-child(2)"
"""A snapshot of Python and the model, which the page keeps when nobody has asked it for anything for a second."""
_STAY_MS = 2000


@dataclass(frozen=True, slots=True)
class Visits:
    """A person's first visit and the next one."""

    ready_first_visit_ms: float
    ready_second_visit_ms: float


def visit_ours(browser: Browser, address: str, model_id: str) -> Visits:
    """The page of this project, told in its address which model to load."""
    query = urlencode({"model": model_id, "threads": 1})
    return _visits(browser, f"{address}?{query}", OUR_PAGE_LOADED, OUR_FILES_KEPT)


def visit_peer(browser: Browser, address: str) -> Visits:
    return _visits(browser, address, LOADED_PEER, LOADED_PEER)


def clone_with(root: Path, file: ModelFile, folder: Path) -> Path:
    """A copy of the tree that offers one model, this one, so that serve.py serves it as it serves any."""
    clone = folder / f"clone-{file.path.stem}"
    for name in ("web", "runtime", "tools"):
        shutil.copytree(root / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("serve.py", "pyproject.toml", "LICENSE"):
        shutil.copy(root / name, clone)
    (clone / "models").mkdir()
    shutil.copy(file.path, clone / "models")
    steps.admit_import(Book(Folder(clone / "models")), clone / "models" / file.path.name, smoke_items())
    return clone


_NOTE_WHEN = """new MutationObserver(() => {
  if (!("readyAt" in window) && document.querySelector("READY")) window.readyAt = performance.now();
}).observe(document, {subtree: true, childList: true, attributes: true});"""
"""In the page, since what drives the browser learns of it tens of milliseconds later."""


def _visits(browser: Browser, address: str, ready: str, kept: str) -> Visits:
    """Two visits of one person; the first ends when the selector `kept` finds something too, and a while has passed.

    With a profile on disk, as a person has one: in a private window Chromium keeps no compiled code.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = browser.browser_type.launch_persistent_context(
            profile, executable_path=find_browser(), args=launch_arguments())
        context.add_init_script(_NOTE_WHEN.replace("READY", ready))
        try:
            page = context.new_page()
            first_ms = _ready_ms(page, address, ready)
            page.wait_for_selector(kept, state="attached", timeout=TIMEOUT_MS)
            page.wait_for_timeout(_STAY_MS)
            page.close()
            return Visits(first_ms, _ready_ms(context.new_page(), address, ready))
        finally:
            context.close()


def _ready_ms(page: Page, address: str, ready: str) -> float:
    """Milliseconds from the navigation until the selector `ready` finds something."""
    page.goto(address, wait_until="commit")
    page.wait_for_selector(ready, state="attached", timeout=TIMEOUT_MS)
    return float(page.evaluate("readyAt"))
