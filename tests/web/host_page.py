"""Somebody else's page, under a path of its own on the same origin, that imports tinypylm.js."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from playwright.sync_api import Page, Route

DOCUMENT = "<!doctype html><meta charset=utf-8><title>A page of somebody else's</title>"
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

AROUND = """async (given) => {
  const { TinyPyLM, TinyPyLMError } = await import("/tinypylm.js");
  const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const told = async (generation) => {
    const tokens = [];
    for await (const token of generation) tokens.push(token);
    return tokens;
  };
  const refused = async (work) => {
    try {
      await work();
    } catch (error) {
      const { name, code, message, detail } = error;
      return { name, code, message, detail, typed: error instanceof TinyPyLMError };
    }
    return { code: "not refused" };
  };
  const run = SOURCE;
  return run({ TinyPyLM, TinyPyLMError, lm: window.lm, given, bytesOf, told, refused });
}"""


class HostPage:
    """The page, and what it logged; a model that it has loaded is `window.lm`."""

    def __init__(self, page: Page, server: str, *, isolated: bool = True):
        self.page, self.errors = page, list[str]()
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.route(f"{server}blog/2026/", lambda route: _answer(route, isolated=isolated))
        page.goto(f"{server}blog/2026/")

    def run(self, source: str, given: object = None) -> Any:
        """What `source`, a JavaScript function of {TinyPyLM, lm, given, ..}, returns."""
        return self.page.evaluate(AROUND.replace("SOURCE", source), given)

    def waits_for_the_end_of_its_workers(self) -> None:
        while self.page.workers:
            self.page.evaluate("new Promise((done) => setTimeout(done))")

    def open(self, data: bytes) -> None:
        """Another model in `lm`."""
        self.run("({lm, given, bytesOf}) => lm.open({ bytes: bytesOf(given) })", b64encode(data).decode())


def _answer(route: Route, *, isolated: bool) -> None:
    route.fulfill(body=DOCUMENT, content_type="text/html", headers=ISOLATED if isolated else {})
