"""What the fields of every reply do in a real browser: isolation, WebAssembly, workers, ranges, and no eval."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.serving.small_site import MODEL, Running
from tinypylm_tools.serving.limits import Limits

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(site: Running, page: Page) -> Page:
    page.goto(f"http://localhost:{site.port}/")
    return page


def test_the_page_is_isolated_and_shares_memory(opened: Page) -> None:
    assert opened.evaluate("[crossOriginIsolated, new SharedArrayBuffer(8).byteLength]") == [True, 8]


def test_webassembly_compiles_and_text_does_not_become_a_script(opened: Page, page_errors: list[str]) -> None:
    empty_module = "new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])"
    assert opened.evaluate(f"WebAssembly.compile({empty_module}).then(String)") == "[object WebAssembly.Module]"
    script = "document.createElement('script').textContent = 'window.ran = 1'"
    assert opened.evaluate(f"() => {{ try {{ {script}; }} catch (error) {{ return error.name; }} }}") == "TypeError"
    assert len(page_errors) == 1
    assert "requires 'TrustedScript' assignment" in page_errors.pop()


def test_a_module_worker_starts(opened: Page) -> None:
    started = """new Promise((resolve) => {
        const policy = trustedTypes.createPolicy("tinypylm", { createScriptURL: (address) => address });
        const worker = new Worker(policy.createScriptURL("/worker.js"), { type: "module" });
        worker.onmessage = (event) => resolve(event.data);
        worker.onerror = () => resolve("failed");
    })"""
    assert opened.evaluate(started) == "started"


def test_a_slice_of_a_model_can_be_fetched(opened: Page) -> None:
    fetched = """fetch("/models/a.slm", { headers: { Range: "bytes=0-107" } })
        .then(async (r) => [r.status, Array.from(new Uint8Array(await r.arrayBuffer()))])"""
    assert opened.evaluate(fetched) == [206, list(MODEL[:108])]


def test_without_isolation_the_page_is_not_isolated_and_the_rest_of_the_policy_holds(
    start: Callable[..., Running], page: Page, page_errors: list[str]
) -> None:
    port = start(Limits(), isolated=False).port
    page.goto(f"http://localhost:{port}/")
    assert page.evaluate("[crossOriginIsolated, typeof SharedArrayBuffer]") == [False, "undefined"]
    script = "document.createElement('script').textContent = 'window.ran = 1'"
    assert page.evaluate(f"() => {{ try {{ {script}; }} catch (error) {{ return error.name; }} }}") == "TypeError"
    page_errors.clear()


def test_another_origin_reaches_nothing(opened: Page, site: Running, page_errors: list[str]) -> None:
    """127.0.0.1 is another origin than localhost, on the same port."""
    address = f"http://127.0.0.1:{site.port}/models/a.slm"
    assert opened.evaluate(f"fetch('{address}').then(String, () => 'refused')") == "refused"
    page_errors.clear()
