"""How long a visitor waits for a model that can generate: with an empty cache, and then with a full one."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tinypylm_tools.evaluation.defaults import smoke_items
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.model_file import ModelFile

from .chromium import Chromium, Page, open_chromium
from .engines import LOADED_PEER

OUR_PAGE_LOADED = "#status[data-state=model-ready]"
OUR_FILES_KEPT = "#kept tbody tr:nth-child(3)"
"""A snapshot of Python, the model and its module: kept when nobody has asked the page for anything for a second."""
_STAY_SECONDS = 2.0
_WINDOW_SECONDS = 2.0
"""A visitor's window stands before the visit. Opening one keeps Chromium busy with its own pages."""


@dataclass(frozen=True, slots=True)
class Visits:
    """A person's first visit and the next one."""

    ready_first_visit_ms: float
    ready_second_visit_ms: float


def visit_ours(address: str, model_id: str) -> Visits:
    """The page of this project, told in its address which model to load."""
    query = urlencode({"model": model_id, "threads": 1})
    return _visits(f"{address}?{query}", OUR_PAGE_LOADED, OUR_FILES_KEPT)


def visit_peer(address: str) -> Visits:
    return _visits(address, LOADED_PEER, LOADED_PEER)


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


def _visits(address: str, ready: str, kept: str) -> Visits:
    """Two visits of one person; the first ends when the selector `kept` finds something too, and a while has passed.

    With a profile on disk, as a person has one: in a private window Chromium keeps no compiled code.
    """
    with open_chromium() as browser:
        page, first_ms = _visit(browser, address, ready)
        page.wait_for(kept)
        time.sleep(_STAY_SECONDS)
        page.close()
        return Visits(first_ms, _visit(browser, address, ready)[1])


def _visit(browser: Chromium, address: str, ready: str) -> tuple[Page, float]:
    """The page, and the milliseconds from its navigation until the selector `ready` found something."""
    page = browser.open("about:blank", before=_NOTE_WHEN.replace("READY", ready), private=False)
    time.sleep(_WINDOW_SECONDS)
    page.navigate(address)
    page.wait_for(ready)
    return page, float(page.evaluate("() => readyAt"))
