"""The page as a person works it, through nothing but JavaScript: what `tests.web.desk` does, in any engine.

Waiting is done in the page: a call answers when what it waits for is there.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.engines.tab import PATIENCE_S, Tab
from tests.web.desk import REFUSED, STORYTELLER, TOKENS

UNTIL = """async ([wanted, patience]) => {
  const status = document.querySelector("#status");
  const seen = () => wanted.includes(status.dataset.state) || wanted.includes(status.dataset.code);
  for (const ends = performance.now() + patience; !seen() && performance.now() < ends;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return seen() ? null : `${status.dataset.state} ${status.dataset.code} ${status.textContent}`;
}"""
VERDICT = """async ([outcome, patience]) => {
  const verdict = document.querySelector("#replay-verdict");
  for (const ends = performance.now() + patience; verdict.dataset.outcome !== outcome && performance.now() < ends;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return [verdict.dataset.outcome, verdict.textContent];
}"""
KEEPS = """async ([kind, patience]) => {
  for (const ends = performance.now() + patience; performance.now() < ends;) {
    const kept = await (await caches.open("tinypylm")).keys();
    if (kept.some(({ url }) => url.includes(`/kept/${kind}`))) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
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
    """One page with a runtime that has started."""

    def __init__(self, tab: Tab, address: str, query: str = ""):
        self.tab, self.address = tab, address
        tab.open(address + query)
        self.reaches("ready", "model-ready")

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

    def reaches(self, *states: str) -> None:
        """Waits for one of `states`."""
        found = self.tab.evaluate(UNTIL, [states, 1000 * (PATIENCE_S - 5)])
        assert found is None, f"expected one of {states}, found {found}"

    def shows(self, code: str) -> None:
        """Waits for the error `code`."""
        self.reaches(code)

    def press(self, *buttons: str) -> None:
        for name in buttons:
            self.tab.evaluate("(id) => document.querySelector(`#${id}`).click()", name)

    def choose(self, model: str = STORYTELLER) -> None:
        self.tab.evaluate("""(id) => {
          const select = document.querySelector("#model-select");
          select.value = id;
          select.dispatchEvent(new Event("change", { bubbles: true }));
        }""", model)
        self.reaches("model-ready", "model-rejected")

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
        found, sentence = self.tab.evaluate(VERDICT, [outcome, 1000 * (PATIENCE_S - 5)])
        assert found == outcome, sentence
        return str(sentence)

    def keeps(self, kind: str) -> None:
        """Waits until the page, which is left alone, has kept a file of this kind."""
        assert self.tab.evaluate(KEEPS, [kind, 1000 * (PATIENCE_S - 5)])

    def replay(self, receipt: bytes) -> dict[str, Any]:
        """The verdict, by the API."""
        verdict: dict[str, Any] = self.tab.evaluate("(text) => tinypylm.replay(text)", receipt.decode())
        return verdict
