"""What a second visit finds on the device, that it believes none of it, and that a first visit goes on without it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Route

from tests.web import altered
from tests.web.desk import STORYTELLER, Desk
from tests.web.host_page import HostPage

pytestmark = pytest.mark.browser

VISIT = f"?model={STORYTELLER}"
LIBRARY = "python_stdlib.zip"
GREEDY = {"temperature": 0, "max_tokens": 24}
NO_CACHE_API = "delete globalThis.caches;"
OTHER_VERSION = "snapshot/of-another-version"
NO_MEMORY = b"\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0" + b"no memory at all"

KEPT = """async () => {
  const cache = await caches.open("tinypylm");
  const names = (await cache.keys()).map((request) => new URL(request.url).pathname.replace("/kept/", ""));
  return names.sort();
}"""
DIGEST = """async (name) => {
  const response = await (await caches.open("tinypylm")).match(`/kept/${name}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}"""
PUT = """async ([name, bytes, sha256]) => {
  const headers = {"X-Label": name, "X-Bytes": String(bytes.length), "X-SHA-256": sha256};
  await (await caches.open("tinypylm")).put(`/kept/${name}`, new Response(new Uint8Array(bytes), {headers}));
}"""
DELETE = """async (name) => (await caches.open("tinypylm")).delete(`/kept/${name}`)"""
CHANGE = """async ([name, change]) => {
  const cache = await caches.open("tinypylm");
  const response = await cache.match(`/kept/${name}`);
  let bytes = new Uint8Array(await response.arrayBuffer());
  if (change === "flip a bit") bytes[bytes.length - 1] ^= 1;
  if (change === "a space more") bytes = new Uint8Array([...bytes, 32]);
  if (change === "cut short") bytes = bytes.slice(0, -1);
  await cache.put(`/kept/${name}`, new Response(bytes, {headers: response.headers}));
}"""


class Device:
    """A browser's profile: what the page keeps there, and visits that find it."""

    def __init__(self, context: BrowserContext, server: str):
        self.context, self.server = context, server
        self.window = context.new_page()
        self.window.goto(f"{server}icon.svg")  # has the origin and none of the page's scripts

    def visit(self, query: str = VISIT) -> Desk:
        desk = Desk(self.context.new_page(), self.server, query)
        desk.reaches("model-ready")
        return desk

    def leave(self, desk: Desk, *kinds: str) -> None:
        """Ends a visit that went without an error, once files of these kinds are kept."""
        while not all(any(name.startswith(kind) for name in self.window.evaluate(KEPT)) for kind in kinds):
            desk.page.wait_for_timeout(50)
        assert desk.errors == []
        desk.page.close()

    def leave_when(self, desk: Desk, name: str, sha256: str) -> None:
        """Ends a visit once what is kept under this name has this digest."""
        while name not in self.window.evaluate(KEPT) or self.digest(name) != sha256:
            desk.page.wait_for_timeout(50)
        self.leave(desk)

    def kept(self, kind: str) -> str:
        """The name of the one file of this kind."""
        (name,) = [name for name in self.window.evaluate(KEPT) if name.startswith(kind)]
        return name

    def change(self, name: str, change: str) -> None:
        self.window.evaluate(CHANGE, [name, change])

    def put(self, name: str, data: bytes) -> None:
        """With the right digest: what a fault of our own would leave, not one of the disk."""
        self.window.evaluate(PUT, [name, list(data), hashlib.sha256(data).hexdigest()])

    def digest(self, name: str) -> str:
        return self.window.evaluate(DIGEST, name)


@pytest.fixture(scope="module")
def device(browser: Browser, server: str) -> Iterator[Device]:
    """A device after a first visit, which found a snapshot of another version."""
    with browser.new_context() as context:
        device = Device(context, server)
        device.put(OTHER_VERSION, b"of another version")
        desk = device.visit()
        assert desk.figure("boot_kind") == "served"
        device.leave(desk, "snapshot/", "derived/", "model/")
        yield device


def fetches(desk: Desk) -> list[tuple[str, str]]:
    """Where each model's bytes came from, and what became of them."""
    rows = [row.locator("td").all_inner_texts() for row in desk.page.locator("#fetches tbody tr").all()]
    return [(row[1], row[-1]) for row in rows if row[0] == "model"]


def test_a_first_visit_keeps_a_snapshot_in_the_place_of_other_versions_and_the_model(device: Device, repo_root: Path):
    model = (repo_root / "models" / f"{STORYTELLER}.slm").read_bytes()
    assert device.kept("model/") == f"model/{hashlib.sha256(model).hexdigest()}"
    assert re.fullmatch("snapshot/[0-9a-f]{64}", device.kept("snapshot/"))


def test_a_second_visit_starts_from_both_and_writes_the_same_text(device: Device, shared_desk: Desk):
    desk = device.visit()
    assert desk.figure("boot_kind") == "snapshot"
    assert fetches(desk) == [("cache", "accepted")]
    assert not any(url.endswith((".slm", ".whl", LIBRARY)) for url in desk.requests)
    shared_desk.choose(STORYTELLER)
    assert shared_desk.figure("boot_kind") == "served"
    assert desk.tokens("The cat", **GREEDY) == shared_desk.tokens("The cat", **GREEDY)
    receipts = []
    for each in (desk, shared_desk):  # the runtime is named by its sources, which a snapshot does not hold
        each.tokens("The cat", receipt=True, **GREEDY)
        receipts.append(each.page.evaluate("tinypylm.receipt()"))
    assert receipts[0] == receipts[1]
    device.leave(desk)


def test_a_second_visit_emits_nothing_again(device: Device):
    model = device.kept("model/").removeprefix("model/")
    assert re.fullmatch(f"derived/[0-9a-f]{{64}}/{model}-[0-9]-f32", device.kept("derived/"))
    desk = device.visit()
    assert float(desk.figure("emit_ms")) < 1
    assert len(desk.tokens("The cat", **GREEDY)) == GREEDY["max_tokens"]
    device.leave(desk)


@pytest.mark.parametrize("fault", [
    "flip a bit", "cut short", "a space more", "of another model", "of no runtime", "no JSON",
])
def test_derived_facts_that_are_wrong_are_not_used_but_replaced(device: Device, fault: str):
    name = device.kept("derived/")
    right = device.digest(name)
    if fault == "of another model":
        device.put(name, json.dumps({"tensor_checksum": "0" * 64, "module": "AGFzbQ=="}).encode())
    elif fault == "of no runtime":
        device.put(name, b"[]")
    elif fault == "no JSON":
        device.put(name, b"derived")
    else:
        device.change(name, fault)
    desk = device.visit()
    assert float(desk.figure("emit_ms")) >= 1
    assert fetches(desk) == [("cache", "accepted")]
    device.leave_when(desk, name, right)


def test_derived_facts_of_other_versions_go_when_new_ones_come(device: Device):
    old = "derived/" + "0" * 64 + "/of-an-old-model"
    new = device.kept("derived/")
    device.put(old, b"{}")
    device.window.evaluate(DELETE, new)
    device.leave(device.visit(), new)
    assert device.kept("derived/") == new


def test_an_error_inside_python_is_reported_as_well_after_a_start_from_a_snapshot(device: Device):
    desk = device.visit()
    assert desk.refused("generate", "The cat", {"topk": 4})["code"] == "UnknownOption"
    device.leave(desk)


def test_an_altered_snapshot_is_not_used_but_replaced(device: Device):
    name = device.kept("snapshot/")
    device.change(name, "flip a bit")
    altered = device.digest(name)
    desk = device.visit()
    assert desk.figure("boot_kind") == "served"
    device.leave(desk, name)
    assert device.digest(name) != altered


def test_a_snapshot_that_does_not_start_is_replaced_too(device: Device):
    name = device.kept("snapshot/")
    device.put(name, NO_MEMORY)
    desk = device.visit()
    assert desk.figure("boot_kind") == "served"
    device.leave(desk, name)
    desk = device.visit()
    assert desk.figure("boot_kind") == "snapshot"
    device.leave(desk)


def test_where_the_server_has_no_snapshot_a_plain_start_leaves_one(browser: Browser, server: str, shared_desk: Desk):
    with browser.new_context() as context:
        altered.without_snapshot(context)
        device = Device(context, server)
        desk = device.visit()
        assert desk.figure("boot_kind") == "plain"
        assert any(url.endswith(LIBRARY) for url in desk.requests)
        plain = desk.tokens("The cat", **GREEDY)
        device.leave(desk, "snapshot/", "model/")
        desk = device.visit()
        assert desk.figure("boot_kind") == "snapshot"
        shared_desk.choose(STORYTELLER)
        assert desk.tokens("The cat", **GREEDY) == plain == shared_desk.tokens("The cat", **GREEDY)
        device.leave(desk)


@pytest.mark.parametrize("fault", ["no memory", "no decompression"])
def test_where_the_servers_snapshot_cannot_be_used_python_starts_plainly(browser: Browser, server: str, fault: str):
    with browser.new_context() as context:
        page = context.new_page()
        if fault == "no memory":
            altered.replace_and_name(page, altered.snapshot_name(), gzip.compress(NO_MEMORY))
        else:
            altered.in_the_worker(page, "delete globalThis.DecompressionStream;")
        desk = Desk(page, server, VISIT)
        desk.reaches("model-ready")
        assert desk.figure("boot_kind") == "plain"
        assert len(desk.tokens("The cat", **GREEDY)) == GREEDY["max_tokens"]
        assert desk.errors == []


@pytest.mark.parametrize(("change", "outcome"), [("flip a bit", "DigestMismatch"), ("cut short", "FetchTruncated")])
def test_an_altered_model_on_the_device_is_fetched_again_and_replaced(device: Device, change: str, outcome: str):
    name = device.kept("model/")
    device.change(name, change)
    desk = device.visit()
    assert fetches(desk) == [("cache", outcome), ("network", "accepted")]
    device.leave(desk, name)
    assert f"model/{device.digest(name)}" == name


def test_a_load_that_is_aborted_leaves_what_is_kept(device: Device):
    before = device.window.evaluate(KEPT)
    host = HostPage(device.context.new_page(), device.server)
    refusal = host.run("""({TinyPyLM, given, refused}) => {
      const control = new AbortController();
      const onProgress = ({ phase }) => phase === "Verifying and compiling" && control.abort();
      return refused(() => TinyPyLM.load({ model: given, signal: control.signal, onProgress }));
    }""", STORYTELLER)
    assert refusal["name"] == "AbortError"
    host.waits_for_the_end_of_its_workers()
    assert device.window.evaluate(KEPT) == before
    assert host.errors == []
    host.page.close()


def test_a_server_that_goes_away_before_its_snapshot_is_kept_costs_no_runtime(browser: Browser, server: str):
    with browser.new_context() as context:
        page, asked = context.new_page(), list[str]()

        def once(route: Route) -> None:
            asked.append(route.request.url)
            if len(asked) == 1:
                route.continue_()
            else:
                route.abort()

        page.route("**/*.snapshot", once)
        with page.expect_event("requestfailed", lambda request: request.url.endswith(".snapshot")):
            desk = Desk(page, server)
            desk.reaches("ready")
            assert desk.figure("boot_kind") == "served"
        desk.choose(STORYTELLER)
        assert len(desk.tokens("The cat", **GREEDY)) == GREEDY["max_tokens"]


HOLD_PYTHON = """(() => {
  const { instantiate } = WebAssembly;
  const released = new Promise((resolve) => { self.release = resolve; });
  WebAssembly.instantiate = async (...args) => { await released; return instantiate.apply(WebAssembly, args); };
})();"""


def test_a_model_chosen_while_python_starts_is_fetched_at_once_and_loaded_afterwards(device: Device):
    page = device.context.new_page()
    page.add_init_script(NO_CACHE_API)
    altered.in_the_worker(page, NO_CACHE_API + HOLD_PYTHON)
    desk = Desk(page, device.server)
    page.locator("#model-select option").nth(1).wait_for(state="attached")
    assert desk.state == "booting"
    assert desk.enabled() == {"model-select", "model-file"}
    with page.expect_response("**/storyteller-2m-q4_0.slm"):
        desk.element("model-select").select_option("storyteller-2m-q4_0")
    with page.expect_response(f"**/{STORYTELLER}.slm"):  # on second thoughts
        desk.element("model-select").select_option(STORYTELLER)
    assert desk.state == "booting"
    page.workers[0].evaluate("self.release()")
    desk.reaches("model-ready")
    assert desk.figure("model_id") == STORYTELLER
    assert [outcome for _, outcome in fetches(desk)][-1] == "accepted"
    device.leave(desk)


def test_nothing_of_a_model_is_asked_for_before_the_runtime_manifest_is_there(device: Device):
    waiting: list[Route] = []
    page = device.context.new_page()
    page.route("**/vendor/manifest.json", lambda route: waiting.append(route))  # noqa: PLW0108 - it marks its handler
    with page.expect_request("**/vendor/manifest.json"):
        desk = Desk(page, device.server, VISIT)
    page.locator("#model-select option").nth(1).wait_for(state="attached")
    page.wait_for_timeout(300)
    assert not any("/evidence/" in url or url.endswith(".slm") for url in desk.requests)
    waiting.pop().continue_()
    desk.reaches("model-ready")
    device.leave(desk)


def test_a_model_refused_while_python_starts_leaves_a_page_that_works(device: Device):
    page = device.context.new_page()
    page.add_init_script(NO_CACHE_API)
    page.route("**/models/*.slm", lambda route: route.fulfill(status=404, body="not found"))
    desk = Desk(page, device.server, VISIT)
    desk.reaches("model-rejected")
    assert desk.code == "FetchFailed"
    page.unroute_all()
    desk.choose(STORYTELLER)
    assert desk.state == "model-ready"
    desk.page.close()


BREAK_OFF_ONCE = """() => {
  const whole = window.fetch;
  window.fetch = async (input, init) => {
    if (!String(input).endsWith(".slm")) return whole(input, init);
    const response = await whole(input, init);
    window.fetch = async (input, init) => {
      window.range = init?.headers?.Range ?? window.range;
      return whole(input, init);
    };
    const cut = new TransformStream({
      async transform(part, controller) {
        controller.enqueue(part.slice(0, 1_000_000));
        await new Promise((resolve) => setTimeout(resolve, 100)); // an error would overtake the part
        controller.error(new TypeError("network error"));
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
}"""


def test_a_download_that_breaks_off_goes_on_where_it_did(desk: Desk):
    desk.page.evaluate(BREAK_OFF_ONCE)
    desk.choose(STORYTELLER)
    assert desk.state == "model-ready"
    assert fetches(desk)[-1] == ("network, 2 requests", "accepted")
    begin = re.fullmatch(r"bytes=(\d+)-", desk.page.evaluate("range"))
    assert begin
    assert 0 < int(begin[1]) <= 1_000_000


def test_without_the_cache_api_every_visit_is_a_first_one(browser: Browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(NO_CACHE_API)
        altered.in_the_worker(page, NO_CACHE_API)
        desk = Desk(page, server, VISIT)
        desk.reaches("model-ready")
        assert desk.figure("boot_kind") == "served"
        page.wait_for_timeout(1500)  # a second of rest, and what would be kept after it
        assert page.locator("#kept tbody tr").count() == 0
        assert len(desk.tokens("The cat", **GREEDY)) == GREEDY["max_tokens"]
        assert desk.errors == []


def test_what_is_kept_can_be_deleted(device: Device):
    desk = device.visit()
    desk.page.locator("#kept summary").click()
    for name in (device.kept("model/"), device.kept("snapshot/"), device.kept("derived/")):
        row = desk.page.locator(f'#kept tr[data-name="{name}"]')
        row.get_by_role("button").click()
        row.wait_for(state="detached")
    assert device.window.evaluate(KEPT) == []
    assert desk.state == "model-ready"
    device.leave(desk)


def test_a_worker_whose_script_is_missing_is_a_page_that_is_not_whole(browser: Browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/worker.js", lambda route: route.fulfill(status=404, body="not found"))
        desk = Desk(page, server)
        desk.reaches("manifest-drift")
        assert "worker.js" in desk.notice
        assert desk.enabled() == {"reload"}
