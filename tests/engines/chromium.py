"""Chromium through Playwright: the browser that the other tests have started."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser


class ChromiumTab:
    """A page in a profile of its own."""

    def __init__(self, browser: Browser):
        self._context = browser.new_context()
        self._page = self._context.new_page()
        self.errors: list[str] = []
        self._page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self._page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def open(self, address: str) -> None:
        self._page.goto(address)

    def evaluate(self, source: str, argument: object = None) -> Any:
        return self._page.evaluate(source, argument)

    def close(self) -> None:
        self._context.close()


class Chromium:
    name = "chromium"

    def __init__(self, browser: Browser):
        self._browser, self.version = browser, browser.version

    def new_tab(self) -> ChromiumTab:
        return ChromiumTab(self._browser)
