"""What a page did with an entry of the registry, and the same entry assembled here."""

from __future__ import annotations

import json

from tests.engines.desk import EngineDesk
from tests.web.desk import Desk
from tests.web.shelf import Shelf
from tinypylm.assembly import assemble
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.states import State

GREEDY = {"temperature": 0, "max_tokens": 24}
PROMPT = "The cat"
PHASES = [
    "load-model-bytes", "verify-model-manifest", "verify-assembly-evidence", "verify-adapter-family",
    "apply-adapter-stack-0", "apply-adapter-stack-1",
]

ROWS = "[...document.querySelectorAll('#fetches tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"


def choose(desk: Desk, name: str) -> None:
    desk.element("model-select").select_option(name)
    desk.reaches("loading", "model-ready", "model-rejected", "assembly-rejected")
    desk.reaches("model-ready", "model-rejected", "assembly-rejected")


def rows(desk: Desk | EngineDesk) -> dict[str, list[str]]:
    """The last row of each component: source, declared and accepted bytes, digest, outcome."""
    return {component: rest for component, *rest in desk.evaluate(ROWS)}


def phases(desk: Desk | EngineDesk) -> list[str]:
    return [desk.figure(f"module_{index}_phase") for index in range(6)]


def told(desk: Desk | EngineDesk) -> list[int]:
    return [token["id"] for token in desk.tokens(PROMPT, **GREEDY)]


def told_here(shelf: Shelf, name: str) -> list[int]:
    plan = json.loads(shelf.files[f"evidence/{name}/plan.json"])
    session = Session(NativeHost())
    assemble(session, name, {fetch["component"]: shelf.files[fetch["path"]] for fetch in plan["fetches"]})
    session.start(PROMPT, SamplingOptions.from_dict(GREEDY))
    ids: list[int] = []
    while session.state is State.GENERATING:
        ids += [event.id for event in session.advance(lambda: False)]
    session.free()
    return ids
