"""The page as a person works it: choose, write, press, read."""

from __future__ import annotations

from typing import Any, Protocol

from playwright.sync_api import Locator, Page, expect

STORYTELLER = "storyteller-2m-q8_0"
LONG_ENOUGH_MS = 30_000

TOKENS = """async ({prompt, options}) => {
  const tokens = [];
  for await (const token of tinypylm.generate(prompt, options)) tokens.push(token);
  return tokens;
}"""

REFUSED = """async ([method, ...args]) => {
  try {
    const made = tinypylm[method](...args);
    await (method === "generate" ? made.next() : made);
  } catch (error) {
    return {code: error.code, message: error.message, detail: error.detail};
  }
  return {code: "not refused"};
}"""


class Emptied(Protocol):
    """A page, driven by whatever drives it."""

    @property
    def state(self) -> str: ...
    def choose(self) -> None: ...
    def press(self, *buttons: str) -> None: ...
    def reaches(self, *states: str) -> None: ...


def empty(desk: Emptied) -> None:
    """Leaves no model and an empty transcript, from any state at rest."""
    if desk.state == "model-rejected":
        desk.choose()
    if desk.state in ("model-ready", "context-ready"):
        desk.press("free")
        desk.reaches("ready")
    desk.press("clear")


class Desk:
    """One page with a runtime that has started, and everything that it asked for and complained about."""

    def __init__(self, page: Page, address: str, query: str = ""):
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.goto(address + query)

    def element(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    @property
    def state(self) -> str:
        return self._status("state")

    @property
    def code(self) -> str:
        return self._status("code")

    @property
    def notice(self) -> str:
        return self.page.locator("#status .notice").text_content() or ""

    @property
    def transcript(self) -> str:
        return self.element("transcript").text_content() or ""

    def reaches(self, *states: str) -> None:
        """Waits for one of `states`."""
        wanted = ", ".join(f'[data-state="{state}"]' for state in states)
        self.page.locator(f"#status:is({wanted})").wait_for(timeout=LONG_ENOUGH_MS)

    def shows(self, code: str) -> None:
        """Waits for the error `code`."""
        expect(self.element("status")).to_have_attribute("data-code", code, timeout=LONG_ENOUGH_MS)

    def press(self, *buttons: str) -> None:
        for name in buttons:
            self.element(name).click()

    def choose(self, model: str = STORYTELLER) -> None:
        self.element("model-select").select_option(model)
        self.reaches("model-ready", "model-rejected")

    def open_file(self, name: str, data: bytes) -> None:
        """Loads a model through the file input."""
        self.element("model-file").set_input_files(
            {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        )
        self.reaches("model-ready", "model-rejected")

    def write(self, prompt: str, **options: str | float) -> None:
        """Fills in the prompt and, by their element ids with _ for -, options."""
        self.element("prompt").fill(prompt)
        for name, value in options.items():
            self.element(name.replace("_", "-")).fill(str(value))

    def generate(self, prompt: str, **options: str | float) -> None:
        """Generates by the button, to the end."""
        self.write(prompt, **options)
        self.press("generate")
        self.reaches("context-ready", "model-ready", "runtime-failed")

    def figure(self, key: str) -> str:
        """What the page shows for a figure."""
        return self.page.locator(f'#diagnostics [data-key="{key}"]').text_content() or ""

    def tokens(self, prompt: str, **options: object) -> list[dict[str, Any]]:
        """Generates by the API, to the end."""
        return self.page.evaluate(TOKENS, {"prompt": prompt, "options": options})

    def refused(self, method: str, *arguments: object) -> dict[str, Any]:
        """The error that a method of the API rejects with."""
        return self.page.evaluate(REFUSED, [method, *arguments])

    def evaluate(self, source: str, argument: object = None) -> Any:
        return self.page.evaluate(source, argument)

    def enabled(self) -> set[str]:
        """Ids of the controls that can be used now."""
        found = self.page.locator(":is(button, select, input[type=file]):enabled:visible")
        return {str(control.get_attribute("id")) for control in found.all()}

    def _status(self, name: str) -> str:
        return self.element("status").get_attribute(f"data-{name}") or ""
