"""Chromium through Playwright: the browser that the other tests have started."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Error

from tests.engines.tab import ScriptError


class ChromiumTab:
    """A page in a profile of its own. `page` is for what only Chromium tells."""

    def __init__(self, browser: Browser):
        self._context = browser.new_context()
        self.page = self._context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def open(self, address: str) -> None:
        self.page.goto(address)

    def evaluate(self, source: str, argument: object = None) -> Any:
        try:
            return self.page.evaluate(source, argument)
        except Error as error:
            raise ScriptError(str(error)) from error

    def close(self) -> None:
        self._context.close()


class Chromium:
    name = "chromium"

    def __init__(self, browser: Browser):
        self._browser, self.version = browser, browser.version

    def new_tab(self) -> ChromiumTab:
        return ChromiumTab(self._browser)
