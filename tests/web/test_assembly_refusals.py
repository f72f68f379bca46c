"""Plans, evidence and adapters that are refused: where, with which code, and that nothing is left half done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.web.assembled import PHASES, choose, phases, rows, told
from tests.web.desk import Desk
from tests.web.shelf import BASE, STACKED, Json, Shelf

pytestmark = pytest.mark.browser


def flip(data: bytes) -> bytes:
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


@pytest.mark.parametrize(
    ("component", "phase"),
    [
        ("manifest", PHASES[1]), ("compatibility", PHASES[2]), ("evaluation", PHASES[2]), ("promotion", PHASES[2]),
        ("family", PHASES[3]), ("adapter-0-receipt", PHASES[4]), ("adapter-1-package", PHASES[5]),
    ],
)
def test_altered_evidence_is_rejected_with_its_step(reader: Desk, shelf: Shelf, component: str, phase: str):
    fetches = json.loads(shelf.files[f"evidence/{STACKED}/plan.json"])["fetches"]
    (path,) = (fetch["path"] for fetch in fetches if fetch["component"] == component)
    shelf.files[path] = flip(shelf.files[path])
    choose(reader, STACKED)
    rejected(reader, "DigestMismatch", phase, component)
    assert rows(reader)[component][-1] == "DigestMismatch"


def rejected(desk: Desk, code: str, phase: str, step: str = "") -> None:
    """The page says where the evidence failed, offers the selector, and has no model."""
    assert (desk.state, desk.code) == ("assembly-rejected", code)
    assert desk.notice.startswith(f"assembly evidence rejected at {phase}, {step}")
    assert desk.enabled() == {"model-select", "model-file", "clear"}
    assert desk.figure("linear_memory_bytes") == ""
    assert desk.figure("adapter_apply_count") == "0"


@pytest.mark.parametrize(("change", "code"), [
    (lambda data: data + b"\n", "FetchOverrun"), (lambda data: data[:-1], "FetchTruncated")])
def test_evidence_longer_or_shorter_than_declared_is_rejected(
    reader: Desk, shelf: Shelf, change: Callable[[bytes], bytes], code: str
):
    path = f"evidence/{STACKED}/admission.json"
    shelf.files[path] = change(shelf.files[path])
    choose(reader, STACKED)
    rejected(reader, code, PHASES[2], "admission")


def test_evidence_that_is_missing_is_rejected(reader: Desk, shelf: Shelf):
    del shelf.files["adapters/asp1.receipt.json"]
    choose(reader, STACKED)
    rejected(reader, "FetchFailed", PHASES[4], "adapter-0-receipt")


def test_a_ledger_that_is_not_the_registrys_is_rejected_in_python(reader: Desk, shelf: Shelf):
    ledger = shelf.files["population.ledger"]
    shelf.files["population.ledger"] = ledger[:-3] + b"0" + ledger[-2:]
    choose(reader, STACKED)
    assert reader.state == "assembly-rejected"
    assert reader.notice.startswith(f"assembly evidence rejected at {PHASES[2]}, ledger")
    assert phases(reader) == [*PHASES[:2], "", "", "", ""]


def test_a_plan_that_is_not_the_pinned_one_stops_everything_before_the_model(reader: Desk, shelf: Shelf):
    path = f"evidence/{STACKED}/plan.json"
    shelf.files[path] = flip(shelf.files[path])
    choose(reader, STACKED)
    rejected(reader, "DigestMismatch", "verify-module-plan", "plan")
    assert not any(url.endswith(".slm") for url in reader.requests)


def without_one(plan: Json) -> None:
    plan["fetches"].pop()
    plan["planned_fetch_count"] = 20


def with_one_more(plan: Json) -> None:
    plan["fetches"].append({**plan["fetches"][-1], "component": "adapter-2-package"})
    plan["planned_fetch_count"] = 22


def exchanged(plan: Json) -> None:
    plan["fetches"][4:6] = plan["fetches"][5:3:-1]


def nothing(body: Json) -> None:
    """No change."""


BROKEN_PLANS: dict[str, tuple[Callable[[Json], object], str]] = {
    "twenty-fetches": (without_one, "PlanFetchCount"),
    "twenty-two-fetches": (with_one_more, "PlanFetchCount"),
    "other-order": (exchanged, "PlanOrder"),
    "five-phases": (lambda plan: plan["phases"].pop(), "PlanOrder"),
    "outside": (lambda plan: plan["fetches"][4].update(path="../secret.json"), "PathOutsideModels"),
    "more": (lambda plan: plan.update(more=1), "RecordUnknownKey"),
    "large-evidence": (lambda plan: plan["fetches"][8].update(bytes=4_194_305), "EvidenceOverBudget"),
}
BROKEN_ENTRIES: dict[str, tuple[Callable[[Json], object], str]] = {
    "large-model": (lambda entry: entry.update(bytes=33_554_433), "ModelOverBudget"),
    "large-stack": (lambda entry: entry["adapters"][0].update(bytes=1_048_576), "StackOverBudget"),
    "withdrawn": (lambda entry: entry.update(enabled=False), "EntryDisabled"),
}


@pytest.fixture(scope="module")
def broken_desk(browser: Browser, server: str, folder: Path) -> Iterator[Desk]:
    """A page that is offered every broken plan and entry beside the good ones."""
    shelf = Shelf(folder)
    for name, (change, _) in BROKEN_PLANS.items():
        shelf.offer(name, change, nothing)
    for name, (change, _) in BROKEN_ENTRIES.items():
        shelf.offer(name, nothing, change)
    with browser.new_context() as context:
        context.add_init_script("delete globalThis.caches")
        page = context.new_page()
        shelf.serve(page)
        desk = Desk(page, server)
        desk.reaches("ready")
        yield desk


@pytest.mark.parametrize("name", BROKEN_PLANS)
def test_a_plan_that_breaks_a_rule_is_rejected_with_its_code_before_the_model(broken_desk: Desk, name: str):
    broken_desk.requests.clear()
    choose(broken_desk, name)
    rejected(broken_desk, BROKEN_PLANS[name][1], "verify-module-plan", "plan")
    assert [url.partition("/models/")[2] for url in broken_desk.requests] == [f"evidence/{name}/plan.json"]


@pytest.mark.parametrize("name", BROKEN_ENTRIES)
def test_an_entry_over_a_budget_or_withdrawn_is_refused_before_a_byte_is_fetched(broken_desk: Desk, name: str):
    choose(broken_desk, BASE)
    before = told(broken_desk)
    broken_desk.requests.clear()
    code = BROKEN_ENTRIES[name][1]
    assert broken_desk.refused("load", name)["code"] == code
    assert (broken_desk.state, broken_desk.code) == ("context-ready", code)
    assert broken_desk.requests == []
    assert told(broken_desk) == before  # the model that was there stays


def test_a_withdrawn_entry_is_shown_and_cannot_be_chosen(broken_desk: Desk):
    option = broken_desk.page.locator('#model-select option[value="withdrawn"]')
    assert "withdrawn" in option.inner_text()
    assert option.is_disabled()


def test_a_registry_that_names_a_file_outside_models_is_refused_as_a_whole(visit: Callable[..., Desk], shelf: Shelf):
    shelf.entry(STACKED, lambda entry: entry.update(file="../secret.slm"))
    desk = visit(shelf)
    desk.reaches("ready")
    assert desk.code == "PathOutsideModels"
    assert desk.page.locator("#model-select option").count() == 1
    desk.open_file("mine.slm", shelf.files[f"{BASE}.slm"])
    assert desk.state == "model-ready"


NO_ROOM_FOR_A_SECOND_MODULE = """(() => {
  const { Instance } = WebAssembly;
  let made = 0;
  WebAssembly.Instance = function (module, imports) {
    made += 1;
    if (made < 2) return new Instance(module, imports);
    WebAssembly.Instance = Instance;
    throw new RangeError("no room");
  };
})()"""


def test_an_adapter_that_cannot_be_applied_leaves_no_model_and_the_base_as_it_was(
    visit: Callable[..., Desk], shelf: Shelf
):
    """Its evidence holds: only the engine finds that the module beside the model cannot be made."""
    desk = visit(shelf, f"?model={BASE}")
    desk.reaches("model-ready")
    before = told(desk)
    desk.page.workers[0].evaluate(NO_ROOM_FOR_A_SECOND_MODULE)
    desk.element("model-select").select_option(STACKED)
    desk.reaches("assembly-rejected")
    rejected(desk, "HostFailed", PHASES[4], "adapter-0")
    assert phases(desk) == [*PHASES[:4], "", ""]
    desk.element("model-select").select_option(BASE)
    desk.reaches("model-ready")
    assert told(desk) == before
