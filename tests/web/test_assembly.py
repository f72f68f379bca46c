"""An entry of the registry, from its plan to its adapters: what is fetched, in which order, and how often."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.assembled import PHASES, choose, phases, rows, told, told_here
from tests.web.desk import Desk
from tests.web.shelf import BASE, STACKED, Shelf

pytestmark = pytest.mark.browser

COMPONENTS = [
    "registry", "plan", "manifest", "model", "compatibility", "lineage", "receipt", "candidate", "evaluation",
    "promotion", "admission", "ledger", "family", "adapter-0-manifest", "adapter-0-receipt", "adapter-0-evaluation",
    "adapter-0-package", "adapter-1-manifest", "adapter-1-receipt", "adapter-1-evaluation", "adapter-1-package",
]


OPTIONS = """() => [...document.querySelectorAll("#model-select option")].slice(1)
  .map(({ value, text, parentElement }) => [value, text, parentElement instanceof HTMLOptGroupElement])"""


def test_the_selector_says_of_each_child_whether_it_is_better_than_its_parents(desk: Desk, repo_root: Path):
    entries = json.loads((repo_root / "models" / "selector.registry").read_bytes())["models"]
    verdicts = {entry["id"]: entry["verdict"] for entry in entries}
    offered = desk.page.evaluate(OPTIONS)
    assert sorted(name for name, _, _ in offered) == sorted(verdicts)
    for name, text, grouped in offered:
        assert (text.rpartition(" · ")[2] == verdicts[name]) == grouped == (verdicts[name] != "no parent")
    assert [grouped for _, _, grouped in offered] == sorted(grouped for _, _, grouped in offered)
    assert {"better", "not shown"} <= set(verdicts.values())


def test_a_stack_of_two_takes_twenty_one_fetches_and_six_phases(reader: Desk, shelf: Shelf):
    choose(reader, STACKED)
    assert (reader.state, reader.code) == ("model-ready", "")
    assert phases(reader) == PHASES
    assert reader.figure("module_plan_planned_fetch_count") == reader.figure("module_plan_actual_fetch_count") == "21"
    assert reader.figure("module_request_count") == "22"  # and the runtime manifest
    assert reader.figure("adapter_apply_count") == "2"
    made = [url.partition("/models/")[2] for url in reader.requests if "/models/" in url]
    plan = json.loads(shelf.files[f"evidence/{STACKED}/plan.json"])
    assert sorted(made) == sorted(fetch["path"] for fetch in plan["fetches"] if fetch["component"] != "registry")
    assert made[0] == f"evidence/{STACKED}/plan.json"


def test_every_fetch_has_a_row_with_declared_and_accepted_bytes_and_its_digest(reader: Desk, shelf: Shelf):
    choose(reader, STACKED)
    found = rows(reader)
    assert set(found) == {"runtime-manifest", *COMPONENTS}
    fetches = json.loads(shelf.files[f"evidence/{STACKED}/plan.json"])["fetches"]
    for fetch in fetches[1:]:
        source, declared, accepted, digest, outcome = found[fetch["component"]]
        pin = shelf.pin(fetch["path"])
        assert [source, int(declared), int(accepted), outcome] == ["network", pin["bytes"], pin["bytes"], "accepted"]
        assert str(pin["sha256"]).startswith(digest)
        assert digest
    everything = sum(int(shelf.pin(fetch["path"])["bytes"]) for fetch in fetches)
    assert int(reader.figure("actual_module_bytes")) == int(reader.figure("planned_module_bytes")) == everything


def test_without_adapters_twelve_fetches_and_four_phases_are_planned(reader: Desk):
    choose(reader, BASE)
    assert reader.state == "model-ready"
    assert phases(reader) == [*PHASES[:4], "", ""]
    assert reader.figure("module_plan_planned_fetch_count") == reader.figure("module_plan_actual_fetch_count") == "12"
    assert reader.figure("adapter_apply_count") == "0"


def test_the_applied_stack_gives_the_text_that_it_gives_in_cpython(reader: Desk, shelf: Shelf):
    choose(reader, STACKED)
    assert told(reader) == told_here(shelf, STACKED)
    choose(reader, BASE)
    assert told(reader) == told_here(shelf, BASE)
    assert told_here(shelf, STACKED) != told_here(shelf, BASE)


def test_no_model_is_asked_for_before_the_page_and_the_plan_are_verified(visit: Callable[..., Desk], shelf: Shelf):
    desk = visit(shelf, f"?model={STACKED}")
    desk.reaches("model-ready")
    order = [url for url in desk.requests if url.endswith((".slm", "plan.json", ".whl", ".wasm", ".js"))]
    assert order[-1].endswith(f"{BASE}.slm")
    assert order[-2].endswith(f"evidence/{STACKED}/plan.json")
    assert sum(url.endswith(".js") for url in order) > 60  # loaded, then read again to be hashed


def test_stop_during_the_evidence_leaves_a_page_that_works(reader: Desk):
    waiting = []
    reader.page.route("**/promotion.json", lambda route: waiting.append(route))  # noqa: PLW0108 - it marks its handler
    reader.element("model-select").select_option(STACKED)
    reader.reaches("loading")
    reader.press("stop")
    reader.reaches("ready")
    for route in waiting:
        route.abort()
    reader.page.unroute("**/promotion.json")
    choose(reader, STACKED)
    assert reader.state == "model-ready"


def test_a_local_file_says_that_no_registry_speaks_for_it(reader: Desk, shelf: Shelf):
    reader.open_file("mine.slm", shelf.files[f"{BASE}.slm"])
    assert "outside the registry" in (reader.page.locator("#status .state").text_content() or "")
    assert phases(reader) == [""] * 6
    assert reader.figure("module_plan_planned_fetch_count") == ""


BREAK_OFF_EVERY_DOWNLOAD = """() => {
  const whole = window.fetch;
  window.fetch = async (input, init) => {
    const response = await whole(input, { ...init, headers: {} });
    if (!String(input).includes("/models/")) return response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (init.headers.Range !== undefined) {
      const range = `bytes 1-${bytes.length - 1}/${bytes.length}`;
      return new Response(bytes.slice(1), { status: 206, headers: { "Content-Range": range } });
    }
    const cut = new ReadableStream({
      async start(controller) {
        controller.enqueue(bytes.slice(0, 1));
        await new Promise((resolve) => setTimeout(resolve, 20)); // an error would overtake the part
        controller.error(new TypeError("network error"));
      },
    });
    return new Response(cut, { headers: { ETag: '"one"' } });
  };
}"""


def test_an_assembly_ends_at_the_thirty_third_request(visit: Callable[..., Desk], shelf: Shelf):
    desk = visit(shelf)
    desk.reaches("ready")
    desk.page.evaluate(BREAK_OFF_EVERY_DOWNLOAD)
    choose(desk, BASE)
    assert desk.state == "model-ready"
    assert desk.figure("module_request_count") == "24"  # manifest, registry, and eleven that each broke off once
    choose(desk, STACKED)
    assert (desk.state, desk.code) == ("assembly-rejected", "EnvelopeExceeded")
    assert desk.figure("module_request_count") == "32"


UNPLANNED = """async (name) => {
  const { AssemblyFetches } = await import("/assembly-fetches.js");
  const { FetchLedger } = await import("/fetch-ledger.js");
  const { findEntry, parseRegistry } = await import("/registry.js");
  const ledger = new FetchLedger(), models = new URL("models/", location.href).href;
  const registry = parseRegistry(await ledger.fetchBytes(`${models}selector.registry`, "registry", 100_000));
  const fetches = new AssemblyFetches(ledger, models, findEntry(registry, name));
  const { signal } = new AbortController();
  const code = (component) => fetches.fetch(component, signal).then(() => "fetched", (error) => error.code);
  const found = [];
  for (const component of ["promotion", "plan", "plan", "registry"]) {
    found.push(await Promise.resolve().then(() => code(component)).catch((error) => error.code));
  }
  return found;
}"""


def test_a_fetch_that_no_plan_names_is_refused_and_so_is_a_second_one(reader: Desk):
    found = reader.page.evaluate(UNPLANNED, STACKED)
    assert found == ["FetchUnplanned", "fetched", "FetchUnplanned", "FetchUnplanned"]
    assert [url.rpartition("/")[2] for url in reader.requests if "evidence" in url] == ["plan.json"]
