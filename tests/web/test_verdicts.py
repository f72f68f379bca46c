"""Registry and plan get the same verdict in the page's JavaScript and in Python, rule by rule."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.shelf import BASE, STACKED, Json, Shelf
from tinypylm.errors import ProvenanceError
from tinypylm.selector import verify_plan

pytestmark = pytest.mark.browser

IN_THE_PAGE = """async (cases) => {
  const { findEntry, parseRegistry } = await import("/registry.js");
  const { parsePlan } = await import("/module-plan.js");
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
  const judge = ([name, registry, plan]) => {
    try {
      const known = parseRegistry(bytes(registry));
      parsePlan(bytes(plan), findEntry(known, name), known.ledger);
    } catch (error) {
      return error.code ?? String(error);
    }
    return "accepted";
  };
  return cases.map(judge);
}"""

Change = Callable[[Json], object]
Raw = Callable[[bytes], bytes]

REGISTRIES: list[Change] = [
    lambda r: r.update(kind="registry"), lambda r: r.update(version=2), lambda r: r.update(version=True),
    lambda r: r.update(more=1), lambda r: r.pop("ledger"), lambda r: r.update(models={}),
    lambda r: r["models"].append(r["models"][-1]), lambda r: r["models"].clear(),
    lambda r: r["ledger"].update(path="../population.ledger"), lambda r: r["ledger"].update(bytes=0),
    lambda r: r["ledger"].update(head="0"),
]
ENTRIES: list[Change] = [
    lambda e: e.update(id="no/name"), lambda e: e.update(id=""), lambda e: e.update(id="x" * 65),
    lambda e: e.update(id="other"), lambda e: e.update(label=""), lambda e: e.update(label="a\nb"),
    lambda e: e.update(label="\U0001f40d" * 120), lambda e: e.update(label="\U0001f40d" * 121),
    lambda e: e.update(family="gpt2"), lambda e: e.update(quantization="q8"), lambda e: e.update(file="../a.slm"),
    lambda e: e.update(file="a/b.slm"), lambda e: e.update(file="a.bin"), lambda e: e.update(file=1),
    lambda e: e.update(bytes=33_554_433), lambda e: e.update(bytes=0), lambda e: e.update(bytes="1"),
    lambda e: e.update(bytes=True), lambda e: e.update(bytes=e["bytes"] + 1), lambda e: e.update(sha256="A" * 64),
    lambda e: e.update(sha256="0" * 64), lambda e: e.update(licence="a" * 201), lambda e: e.update(enabled=1),
    lambda e: e.update(enabled=False), lambda e: e.update(claims=[]), lambda e: e.update(claims=["quality"]),
    lambda e: e.update(verdict="best"), lambda e: e.pop("manifest"), lambda e: e.update(admission="0" * 63),
    lambda e: e["plan"].update(path="/plan.json"), lambda e: e["plan"].update(path="a/b/c/d/e.json"),
    lambda e: e["plan"].pop("bytes"), lambda e: e["adapters"].append(e["adapters"][0]),
    lambda e: e["adapters"].pop(), lambda e: e["adapters"][0].update(file="a.slm"),
    lambda e: e["adapters"][0].update(format="LORA"), lambda e: e["adapters"][0].update(bytes=1_048_576),
    lambda e: e["adapters"][1].update(scale_bits="3f8"), lambda e: e["adapters"].reverse(),
    lambda e: e.update(quarantine="0" * 64), lambda e: e.update(quarantine="why"), lambda e: e.update(note="x"),
]
PLANS: list[Change] = [
    lambda p: p.update(name=BASE), lambda p: p.update(planned_fetch_count=20), lambda p: p["fetches"].pop(),
    lambda p: p.update(planned_fetch_count=33), lambda p: p["fetches"].append(p["fetches"][-1]),
    lambda p: p["fetches"].reverse(), lambda p: p["phases"].reverse(), lambda p: p["phases"].pop(),
    lambda p: p["phases"][2]["components"].pop(), lambda p: p["phases"][0].update(phase="load"),
    lambda p: p["fetches"][0].update(path="other.registry"), lambda p: p["fetches"][1].update(path="plan.json"),
    lambda p: p["fetches"][2].update(path="evidence/other/manifest.json"), lambda p: p["fetches"][3].update(bytes=1),
    lambda p: p["fetches"][3].update(path=f"{STACKED}.slm"), lambda p: p["fetches"][3].update(sha256="0" * 64),
    lambda p: p["fetches"][4].update(component="lineage"), lambda p: p["fetches"][4].update(component="-"),
    lambda p: p["fetches"][4].update(pinned_by="registry"), lambda p: p["fetches"][4].pop("sha256"),
    lambda p: p["fetches"][11].update(path="other.ledger"), lambda p: p["fetches"][11].update(bytes=1),
    lambda p: p["fetches"][12].update(path="adapters/family/other.json"),
    lambda p: p["fetches"][12].update(path="adapters/family/..json"),
    lambda p: p["fetches"][-1].update(sha256="0" * 64), lambda p: p["fetches"][-1].update(path="adapters/x.alr1"),
    lambda p: p.update(kind="plan"), lambda p: p.update(version=0), lambda p: p.update(more=[]),
]
TEXTS: list[Raw] = [
    lambda t: b" " + t, lambda t: t + b"\n", lambda t: b"\xef\xbb\xbf" + t, lambda t: t[:-1], lambda t: b"",
    lambda t: b"null", lambda t: b"[]", lambda t: t.replace(b'"version":1', b'"version":1.0'),
    lambda t: t.replace(b'"version":1', b'"version":1,"version":1'),
    lambda t: t.replace(b'"version":1', b'"version":null'),
    lambda t: t.replace(b"Plain", b"\xff"), lambda t: t.replace(b"Plain", b"\\ud800"),
    lambda t: t.replace(b"Plain", b"\\u0050lain"), lambda t: t.replace(b'"version":1', b'"version":9007199254740993'),
]


def cases(folder: Path) -> list[tuple[str, bytes, bytes]]:
    """Entry, registry and plan; the first is as the tools write it."""
    path, made = f"evidence/{STACKED}/plan.json", [Shelf(folder)]
    for change in REGISTRIES:
        made.append(Shelf(folder))
        made[-1].json("selector.registry", change)
    for change in ENTRIES:
        made.append(Shelf(folder))
        made[-1].entry(STACKED, change)
    for change in PLANS:
        made.append(Shelf(folder))
        made[-1].plan(STACKED, change)
    for raw in TEXTS:
        made.append(Shelf(folder))
        made[-1].files["selector.registry"] = raw(made[-1].files["selector.registry"])
    return [(STACKED, shelf.files["selector.registry"], shelf.files[path]) for shelf in made]


def verdict(name: str, registry: bytes, plan: bytes) -> str:
    try:
        verify_plan(name, registry, plan)
    except ProvenanceError as error:
        return str(error.code)
    return "accepted"


def test_the_page_and_python_give_every_registry_and_plan_the_same_code(browser: Browser, server: str, folder: Path):
    given = cases(folder)
    expected = [verdict(*case) for case in given]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{server}icon.svg")
        encoded = [[name, b64encode(registry).decode(), b64encode(plan).decode()] for name, registry, plan in given]
        found = page.evaluate(IN_THE_PAGE, encoded)
    assert list(zip(range(len(given)), found, strict=True)) == list(enumerate(expected))
    assert expected[0] == "accepted"
    assert len(set(expected)) >= 12, sorted(set(expected))


def test_the_plans_of_the_committed_models_are_accepted_by_both(browser: Browser, server: str, repo_root: Path):
    shelf = Shelf(repo_root / "models")
    names = [entry["id"] for entry in json.loads(shelf.files["selector.registry"])["models"]]
    given = [(name, shelf.files["selector.registry"], shelf.files[f"evidence/{name}/plan.json"]) for name in names]
    assert [verdict(*case) for case in given] == ["accepted"] * len(names)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{server}icon.svg")
        encoded = [[name, b64encode(registry).decode(), b64encode(plan).decode()] for name, registry, plan in given]
        assert page.evaluate(IN_THE_PAGE, encoded) == ["accepted"] * len(names)
