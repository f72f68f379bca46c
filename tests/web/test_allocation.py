"""In the page, too, a token leaves nothing behind: the heaps of Python and JavaScript and linear memory stand still."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.web.conftest import MODULE, START
from tests.web.desk import STORYTELLER

pytestmark = pytest.mark.browser

JS_SLACK_BYTES = 131_072

LOAD = """
from js import fetch
from tinypylm.app import App
import json
answer = await fetch("{address}")
data = (await answer.arrayBuffer()).to_bytes()
import js
app = App(host, js.Array.isArray, lambda: False)
loaded = json.loads(app.request("load", "{{}}", data))["result"]
def decode(count):
    seed = 0
    while count > 0:
        seed += 1
        options = {{"temperature": 1.5, "seed": seed, "max_tokens": min(count, 400)}}
        app.request("reset", "{{}}")
        app.request("start", json.dumps({{"prompt": "Once upon a time", "options": options}}))
        done = json.loads(app.request("advance", '{{"budget_ms": 600000}}'))["result"]
        count -= done["figures"]["generated_tokens"]
    return done["figures"]["linear_memory_bytes"]
decode(200)
"""


def test_2000_tokens_leave_three_heaps_as_200_do(browser: Browser, server: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{server}icon.svg")
        page.evaluate(START + f"'{MODULE}')\n`);\n}}")
        protocol = context.new_cdp_session(page)

        def run(source: str) -> object:
            return page.evaluate("(source) => python.runPythonAsync(source)", source)

        def heaps() -> tuple[object, int]:
            protocol.send("HeapProfiler.collectGarbage")
            return page.evaluate("python._module.HEAP8.length"), protocol.send("Runtime.getHeapUsage")["usedSize"]

        linear_before = run(LOAD.format(address=f"{server}models/{STORYTELLER}.slm"))
        python_before, script_before = heaps()
        linear_after = run("decode(2000)")
        python_after, script_after = heaps()
        assert linear_after == linear_before
        assert python_after == python_before
        assert script_after - script_before < JS_SLACK_BYTES
