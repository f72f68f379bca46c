"""The page compares what it runs with the runtime manifest, and asks for no model before that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.web import altered
from tests.web.desk import STORYTELLER, Desk
from tinypylm.canonical import JsonObject

pytestmark = pytest.mark.browser

VISIT = f"?model={STORYTELLER}"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as made:
        yield made


def drifted(context: BrowserContext, server: str) -> Desk:
    """A page that was told which model to load, and halted."""
    desk = Desk(context.new_page(), server, VISIT)
    desk.reaches("manifest-drift")
    assert desk.enabled() == {"reload"}
    assert not any(".slm" in url for url in desk.requests)
    return desk


def test_manifest_and_registry_are_the_first_rows_of_the_ledger(desk: Desk):
    found = {row.locator("td").first.inner_text(): row.locator("td").all_inner_texts()
             for row in desk.page.locator("#fetches tbody tr").all()[:2]}
    paths = {"runtime-manifest": "web/vendor/manifest.json", "registry": "models/selector.registry"}
    for component, path in paths.items():
        data = (altered.WEB.parent / path).read_bytes()
        assert found[component] == [
            component, "network", "", str(len(data)), hashlib.sha256(data).hexdigest()[:8], "accepted"]


def test_a_manifest_of_valid_shape_with_a_wrong_checksum_halts_the_boot(context: BrowserContext, server: str):
    data = altered.manifest()
    at = data.index(b'"checksum":"') + len(b'"checksum":"')
    altered.serve_manifest(context, data[:at] + (b"0" if data[at:at + 1] != b"0" else b"1") + data[at + 1:])
    desk = drifted(context, server)
    assert desk.code == "ManifestDrift"
    assert "vendor/manifest.json" in desk.notice


def test_a_script_of_the_page_that_is_another_one_halts_the_boot(context: BrowserContext, server: str):
    script = (altered.WEB / "views" / "transcript.js").read_bytes()
    altered.replace(context, "views/transcript.js", script + b"// one more line\n")
    desk = drifted(context, server)
    assert desk.code == "ManifestDrift"
    assert "views/transcript.js" in desk.notice


@pytest.mark.parametrize("name", ["pyodide/pyodide.asm.wasm", "pyodide/pyodide.mjs"])
def test_a_vendored_file_that_is_another_one_halts_the_boot(context: BrowserContext, server: str, name: str):
    halts_at_another(context, server, name)


def test_a_snapshot_that_is_another_one_halts_the_boot(context: BrowserContext, server: str):
    halts_at_another(context, server, altered.snapshot_name().removeprefix("vendor/"))


def test_another_wheel_halts_the_boot_where_python_starts_from_it(context: BrowserContext, server: str):
    altered.without_snapshot(context)
    halts_at_another(context, server, "tinypylm-0.1.0-py3-none-any.whl")


def halts_at_another(context: BrowserContext, server: str, name: str) -> None:
    data = (altered.WEB / "vendor" / name).read_bytes()
    altered.replace(context, f"vendor/{name}", data[:-40] + bytes(40))
    desk = drifted(context, server)
    assert desk.code == "ManifestDrift"
    assert f"vendor/{name}" in desk.notice


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: body.update(kind="other"), "kind"),
        (lambda body: body.update(version=2), "version"),
        (lambda body: body.update(more=1), "its fields"),
        (lambda body: body.update(runtime_wheel="other.whl"), "wheel"),
        (lambda body: body["files"].append(body["files"][0]), "twice"),
        (lambda body: body["files"][0].update(path="../secret.js"), "malformed"),
    ],
)
def test_a_manifest_that_breaks_a_rule_halts_the_boot_and_says_which(
    context: BrowserContext, server: str, change: Callable[[JsonObject], object], says: str
):
    altered.serve_manifest(context, altered.manifest(change))
    desk = drifted(context, server)
    assert desk.code == "ManifestInvalid"
    assert says in desk.notice


@pytest.mark.parametrize(("data", "says"), [(b"{ }", "canonical"), (b"not JSON", "JSON"), (b"null", "null")])
def test_a_manifest_that_is_no_canonical_json_halts_the_boot(
    context: BrowserContext, server: str, data: bytes, says: str
):
    altered.serve_manifest(context, data)
    desk = drifted(context, server)
    assert desk.code == "ManifestInvalid"
    assert says in desk.notice


def test_reload_starts_a_page_that_has_been_repaired(context: BrowserContext, server: str):
    altered.replace(context, "style.css", b"body { color: red }")
    desk = drifted(context, server)
    context.unroute_all()
    desk.press("reload")
    desk.reaches("ready", "model-ready", "model-rejected", "assembly-rejected")
    assert desk.code != "ManifestDrift"


def test_a_page_of_another_version_with_its_own_manifest_starts(context: BrowserContext, server: str):
    script = (altered.WEB / "views" / "transcript.js").read_bytes()
    altered.replace_and_name(context, "views/transcript.js", script + b"// one more line\n")
    desk = Desk(context.new_page(), server)
    desk.reaches("ready")
    assert desk.code == ""


PYTHON_STARTED = "() => document.querySelector('#diagnostics [data-key=pyodide]').textContent !== ''"


def test_a_drift_is_shown_at_once_not_when_python_has_started(context: BrowserContext, server: str):
    altered.replace(context, "icon.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    desk = drifted(context, server)
    assert desk.page.evaluate(PYTHON_STARTED) is False
    assert desk.refused("load", STORYTELLER)["code"] == "ManifestDrift"
    for _ in range(100):  # the driver hears of a worker's end a little later than the page
        if not desk.page.workers:
            break
        desk.page.wait_for_timeout(50)
    assert desk.page.workers == []


COMPARED = """async (digest) => {
  const { verifyLoaded, verifyResponse } = await import(`${location.origin}/runtime-manifest.js`);
  const { arrayBuffer } = Response.prototype;
  const read = [];
  Response.prototype.arrayBuffer = async function () {
    const bytes = await arrayBuffer.call(this);
    read.push(bytes);
    return bytes;
  };
  const code = (check) => check.then(() => "", (error) => error.code);
  try {
    const codes = [
      await code(verifyLoaded(`${location.origin}/digest.js`, "digest.js", "")),
      await code(verifyResponse(new Response("abc"), "abc", digest)),
    ];
    return { codes, given_back: read.map((bytes) => bytes.byteLength === 0) };
  } finally {
    Response.prototype.arrayBuffer = arrayBuffer;
  }
}"""


def test_what_was_read_to_be_compared_does_not_stay_in_memory(desk: Desk):
    """Python alone is nine megabytes, which the collector leaves lying."""
    assert desk.page.evaluate(COMPARED, hashlib.sha256(b"abc").hexdigest()) == {
        "codes": ["ManifestDrift", ""], "given_back": [True, True, True]}
