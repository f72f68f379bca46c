"""The policy of every reply, enforced: no text becomes markup, code or the address of a worker."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Worker

from tests.web.desk import Desk

pytestmark = pytest.mark.browser

IN_THE_PAGE = {
    "innerHTML": "document.createElement('p').innerHTML = '<b>bold</b>'",
    "outerHTML": "document.querySelector('#transcript').outerHTML = '<b>bold</b>'",
    "insertAdjacentHTML": "document.body.insertAdjacentHTML('beforeend', '<b>bold</b>')",
    "srcdoc": "document.createElement('iframe').srcdoc = '<b>bold</b>'",
    "write": "document.write('<b>bold</b>')",
    "parse": "new DOMParser().parseFromString('<b>bold</b>', 'text/html')",
    "script_source": "document.createElement('script').src = '/main.js'",
    "script_text": "document.createElement('script').text = 'attacked = 1'",
    "handler": "document.body.setAttribute('onclick', 'attacked = 1')",
    "another_policy": "trustedTypes.createPolicy('other', { createHTML: (text) => text })",
    "the_policy_again": "trustedTypes.createPolicy('tinypylm', { createHTML: (text) => text })",
    "the_default_policy": "trustedTypes.createPolicy('default', { createHTML: (text) => text })",
}
IN_BOTH = {
    "worker": "new Worker('/worker.js', { type: 'module' })",
    "evaluate": "globalThis.eval('1')",
    "function": "new Function('1')",
}


def attempted(scope: Page | Worker, statement: str) -> str:
    """The name of the error that the statement throws; in a later task, as what a debugger runs itself may use eval."""
    name: str = scope.evaluate(f"""() => new Promise((resolve) => setTimeout(() => {{
      try {{ {statement}; resolve("done"); }} catch (error) {{ resolve(error.name); }}
    }}))""")
    return name


@pytest.mark.parametrize("name", [*IN_THE_PAGE, *IN_BOTH])
def test_the_page_turns_no_text_into_markup_or_code(desk: Desk, name: str):
    assert attempted(desk.page, (IN_THE_PAGE | IN_BOTH)[name]) in ("TypeError", "EvalError")
    assert desk.page.locator("b").count() == 0
    desk.errors = [error for error in desk.errors if not error.endswith("The action has been blocked.")]


@pytest.mark.parametrize("name", IN_BOTH)
def test_its_worker_does_not_either(desk: Desk, name: str):
    assert attempted(desk.page.workers[0], IN_BOTH[name]) in ("TypeError", "EvalError")
    desk.errors.clear()


@pytest.mark.parametrize("name", ["main.js", "../worker.js", "https://example.com/worker.js", "data:,1"])
def test_the_policy_vouches_for_the_two_workers_only(desk: Desk, name: str):
    refused = desk.page.evaluate("""async (name) => {
      const { trustedScript } = await import("/trusted-script.js");
      try { return String(trustedScript(name)); } catch (error) { return error.name; }
    }""", name)
    assert refused == "TypeError"


def test_helpers_start_under_the_policy_too(new_desk):
    desk = new_desk("?threads=3&model=storyteller-2m-q8_0")
    desk.reaches("model-ready")
    assert desk.figure("threads") == "3"
    assert desk.errors == []
