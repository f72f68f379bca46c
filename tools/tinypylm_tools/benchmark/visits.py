"""How long a visitor waits for a model that can generate: with an empty cache, and then with a full one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tinypylm import canonical
from tinypylm_tools.commands.registry import FILE_NAME, entry
from tinypylm_tools.model_file import ModelFile

from .engines import LOADED_PEER, TIMEOUT_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUR_PAGE_LOADED = "#status[data-state=model-ready]"


@dataclass(frozen=True, slots=True)
class Visits:
    """A person's first visit and the next one."""

    ready_first_visit_ms: float
    ready_second_visit_ms: float


def visit_ours(browser: Browser, address: str, model_id: str) -> Visits:
    """The page of this project, told in its address which model to load."""
    return _visits(browser, f"{address}?{urlencode({'model': model_id, 'threads': 1})}", OUR_PAGE_LOADED)


def visit_peer(browser: Browser, address: str) -> Visits:
    return _visits(browser, address, LOADED_PEER)


def clone_with(root: Path, file: ModelFile, folder: Path) -> Path:
    """A copy of the tree that offers one model, this one, so that serve.py serves it as it serves any."""
    clone = folder / f"clone-{file.path.stem}"
    for name in ("web", "runtime", "tools"):
        shutil.copytree(root / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("serve.py", "pyproject.toml", "LICENSE"):
        shutil.copy(root / name, clone)
    (clone / "models").mkdir()
    shutil.copy(file.path, clone / "models")
    (clone / "models" / FILE_NAME).write_bytes(canonical.dumps({"version": 1, "models": [entry(file)]}))
    return clone


def _visits(browser: Browser, address: str, ready: str) -> Visits:
    """Two visits of one person, whose browser keeps what the first one brought."""
    context = browser.new_context()
    try:
        return Visits(_visit(context.new_page(), address, ready), _visit(context.new_page(), address, ready))
    finally:
        context.close()


def _visit(page: Page, address: str, ready: str) -> float:
    """Milliseconds from the navigation until the selector `ready` finds something."""
    page.goto(address, wait_until="commit")
    page.wait_for_selector(ready, state="attached", timeout=TIMEOUT_MS)
    waited_ms = page.evaluate("performance.now()")
    page.close()
    return float(waited_ms)
