"""The page as a person works it, through nothing but JavaScript: what `tests.web.desk` does, in any engine.

Waiting is done in the page: a call answers when what it waits for is there.
"""

from __future__ import annotations

import time
from base64 import b64encode
from typing import Any

from tests.engines.tab import PATIENCE_S, ScriptError, Tab
from tests.web.desk import REFUSED, STORYTELLER, TOKENS

UNTIL = """async ([given, patience]) => {
  const holds = CONDITION;
  for (const ends = performance.now() + patience; !(await holds(given)); ) {
    if (performance.now() > ends) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}"""
SHOWS_ONE_OF = """(wanted) => {
  const { state, code } = document.querySelector("#status").dataset;
  return wanted.includes(state) || wanted.includes(code);
}"""
HAS_VERDICT = "(outcome) => document.querySelector('#replay-verdict').dataset.outcome === outcome"
KEEPS = """async (kind) => {
  const kept = await (await caches.open("tinypylm")).keys();
  return kept.some(({ url }) => url.includes(`/kept/${kind}`));
}"""
OPEN_FILE = """([id, name, data]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const chosen = new DataTransfer();
  chosen.items.add(new File([bytes], name));
  const input = document.querySelector(`#${id}`);
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}"""
ENABLED = """[...document.querySelectorAll(":is(button, select, input[type=file]):enabled")]
  .filter((control) => control.checkVisibility()).map(({ id }) => id)"""
APPLY = """([data, scale]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return tinypylm.applyAdapter(bytes, scale === null ? {} : { scale }).then(() => null);
}"""
RECORD = """async ([prompt, options]) => {
  for await (const token of tinypylm.generate(prompt, { ...options, receipt: true }));
  return tinypylm.receipt();
}"""


class EngineDesk:
    """One page whose start has come to an end, with a runtime as a rule."""

    def __init__(self, tab: Tab, address: str, query: str = "", ends: tuple[str, ...] = ("ready", "model-ready")):
        self.tab, self.address = tab, address
        tab.open(address + query)
        self.reaches(*ends)

    @property
    def errors(self) -> list[str]:
        return self.tab.errors

    @property
    def state(self) -> str:
        return str(self.tab.evaluate("document.querySelector('#status').dataset.state"))

    @property
    def code(self) -> str:
        return str(self.tab.evaluate("document.querySelector('#status').dataset.code"))

    @property
    def notice(self) -> str:
        return str(self.tab.evaluate("document.querySelector('#status .notice').textContent"))

    @property
    def transcript(self) -> str:
        return self.text("transcript")

    def text(self, name: str) -> str:
        return str(self.tab.evaluate("(id) => document.querySelector(`#${id}`).textContent", name))

    def value(self, name: str) -> str:
        return str(self.tab.evaluate("(id) => document.querySelector(`#${id}`).value", name))

    def evaluate(self, source: str, argument: object = None) -> Any:
        return self.tab.evaluate(source, argument)

    def until(self, condition: str, argument: object = None) -> bool:
        """Waits in the page until the function `condition` holds for `argument`; false if it never does."""
        return bool(self.evaluate(UNTIL.replace("CONDITION", condition), [argument, 1000 * (PATIENCE_S - 5)]))

    def reaches(self, *states: str) -> None:
        """Waits for one of `states`."""
        met = self.until(SHOWS_ONE_OF, states)
        assert met, f"expected one of {states}, found {self.state} {self.code} {self.text('status')}"

    def shows(self, code: str) -> None:
        """Waits for the error `code`."""
        self.reaches(code)

    def forget_device(self) -> None:
        """From now on the page finds nothing that was kept: every model comes from the server."""
        self.evaluate("delete globalThis.caches")
        assert self.evaluate("globalThis.caches === undefined")

    def reload(self, *ends: str) -> None:
        """Presses Reload, and waits for one of these states of the page that comes."""
        self.evaluate("void (window.left = true)")
        self.press("reload")
        patience = time.monotonic() + PATIENCE_S
        while self._is_leaving() and time.monotonic() < patience:
            time.sleep(0.05)
        self.reaches(*ends)

    def _is_leaving(self) -> bool:
        try:
            return bool(self.evaluate("window.left === true || document.readyState !== 'complete'"))
        except ScriptError:  # the document went away under it
            return True

    def press(self, *buttons: str) -> None:
        for name in buttons:
            self.tab.evaluate("(id) => document.querySelector(`#${id}`).click()", name)

    def choose(self, model: str = STORYTELLER) -> None:
        self.tab.evaluate("""(id) => {
          const select = document.querySelector("#model-select");
          select.value = id;
          select.dispatchEvent(new Event("change", { bubbles: true }));
        }""", model)
        self.reaches("model-ready", "model-rejected", "assembly-rejected")

    def open_file(self, name: str, data: bytes) -> None:
        """Loads a model through the file input."""
        self.put_file("model-file", name, data)
        self.reaches("model-ready", "model-rejected")

    def put_file(self, element: str, name: str, data: bytes) -> None:
        self.tab.evaluate(OPEN_FILE, [element, name, b64encode(data).decode()])

    def write(self, prompt: str, **options: str | float) -> None:
        """Fills in the prompt and, by their element ids with _ for -, options."""
        for name, text in {"prompt": prompt, **options}.items():
            fill = "([id, text]) => void (document.querySelector(`#${id}`).value = text)"
            self.tab.evaluate(fill, [name.replace("_", "-"), str(text)])

    def generate(self, prompt: str, **options: str | float) -> None:
        """Generates by the button, to the end."""
        self.write(prompt, **options)
        self.press("generate")
        self.reaches("context-ready", "model-ready", "runtime-failed")

    def figure(self, key: str) -> str:
        """What the page shows for a figure."""
        find = "(key) => document.querySelector(`#diagnostics [data-key='${key}']`).textContent"
        return str(self.tab.evaluate(find, key))

    def tokens(self, prompt: str, **options: object) -> list[dict[str, Any]]:
        """Generates by the API, to the end."""
        told: list[dict[str, Any]] = self.tab.evaluate(TOKENS, {"prompt": prompt, "options": options})
        return told

    def refused(self, method: str, *arguments: object) -> dict[str, Any]:
        """The error that a method of the API rejects with."""
        error: dict[str, Any] = self.tab.evaluate(REFUSED, [method, *arguments])
        return error

    def enabled(self) -> set[str]:
        """Ids of the controls that can be used now."""
        return set(self.tab.evaluate(ENABLED))

    def apply_adapter(self, data: bytes, scale: float | None = None) -> None:
        self.tab.evaluate(APPLY, [b64encode(data).decode(), scale])

    def record(self, prompt: str, options: dict[str, object]) -> bytes:
        """The receipt of a generation by the API."""
        return str(self.tab.evaluate(RECORD, [prompt, options])).encode()

    def verdict(self, outcome: str) -> str:
        """Waits for this outcome of a replay that a file has begun; its sentence."""
        met, sentence = self.until(HAS_VERDICT, outcome), self.text("replay-verdict")
        assert met, sentence
        return sentence

    def keeps(self, kind: str) -> None:
        """Waits until the page, which is left alone, has kept a file of this kind."""
        assert self.until(KEEPS, kind)

    def replay(self, receipt: bytes) -> dict[str, Any]:
        """The verdict, by the API."""
        verdict: dict[str, Any] = self.tab.evaluate("(text) => tinypylm.replay(text)", receipt.decode())
        return verdict
