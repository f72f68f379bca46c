"""`docs/protocol.md` names everything that the code of the page does, and nothing but."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import contract

WEB = Path(__file__).resolve().parents[2] / "web"
DOCUMENT = (WEB.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
DOCUMENTED = set(re.findall(r"`([^`\n]+)`", DOCUMENT))
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in [*WEB.glob("*.js"), *WEB.glob("views/*.js")]}
PAGE = (WEB / "index.html").read_text(encoding="utf-8")


def methods() -> set[str]:
    table = re.search(r"const METHODS = .*?\n(.*?)\}\);", SOURCES["worker.js"], re.DOTALL)
    assert table
    return set(re.findall(r"(\w+): (?:\(|passOn)", table[1]))


def codes() -> set[str]:
    text = "\n".join(SOURCES.values())
    return set(re.findall(r'(?:code: |code = |OUTSIDE = |(?:PageError|refused|overBudget)\(\s*)"([A-Z]\w+)"', text))


def section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> str:
    return " ".join(re.findall(r"^\| (`.*?) \|", section(title), re.MULTILINE))


def test_every_method_of_the_worker_is_documented_here_and_at_its_top():
    assert len(methods()) > 8
    head = SOURCES["worker.js"].split("*/")[0]
    for method in methods():
        assert method in DOCUMENTED
        assert re.search(rf"^ \*   {method} ", head, re.MULTILINE), method


def test_every_event_of_the_worker_is_documented():
    events = set(re.findall(r'event: "(\w+)"', SOURCES["worker.js"]))
    assert events == {"alive", "boot", "verified", "accepted", "tokens"}
    assert events == set(re.findall(r'event: "(\w+)"', DOCUMENT))


def test_every_state_is_documented():
    states = re.findall(r'^  "([a-z-]+)": \{', SOURCES["store.js"].split("const REFUSALS")[0], re.MULTILINE)
    assert len(states) == 10
    assert states == re.findall(r"`([a-z-]+)`", first_column("States"))


def test_every_code_of_the_page_is_documented():
    assert codes() == set(re.findall(r"`(\w+)`", first_column("Codes of the page")))


def test_every_member_of_the_api_is_documented():
    members = re.findall(r"^    (?:get )?(\w+)[(:,]", SOURCES["api.js"].split("function generate")[0], re.MULTILINE)
    assert len(members) == 14
    assert set(members) == set(re.findall(r"`(\w+)(?:\(.*?\))?`", first_column("`window.tinypylm`")))


@pytest.mark.parametrize("name", contract.IDS)
def test_an_element_of_the_contract_is_documented(name: str):
    assert name in DOCUMENTED


IMPORT = re.compile(r'^import (?:.* from )?"(.*)";$', re.MULTILINE)


def imported_by(first: str) -> set[str]:
    """Every module that `first` leads to."""
    needed: set[str] = set()
    waiting = [first]
    while waiting:
        module = Path(waiting.pop())
        new = {os.path.normpath(module.parent / name) for name in IMPORT.findall(SOURCES[module.name])} - needed
        needed |= new
        waiting += new
    return needed


def test_the_page_asks_at_once_for_every_module_that_main_js_leads_to():
    asked = set(re.findall(r'(?:modulepreload" href|type="module" src)="(.*?)"', PAGE))
    assert asked == imported_by("main.js") | {"main.js"}


def test_the_worker_asks_at_once_for_every_module_that_it_leads_to():
    asked = {os.path.normpath(name) for name in IMPORT.findall(SOURCES["worker.js"])}
    assert asked == imported_by("worker.js")
