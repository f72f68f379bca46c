"""The heaps of a page and of its worker after a collection, as Chromium's inspector counts them."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from playwright.sync_api import Page

PATIENCE_MS = 20_000


class Heap:
    """Attaches to the page's first worker; helper threads have next to no heap."""

    def __init__(self, page: Page):
        self._page, self._ids = page, count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._workers: list[str] = []
        self.parts: list[dict[str, Any]] = []
        self._session = page.context.new_cdp_session(page)
        self._session.on("Target.attachedToTarget", lambda event: self._workers.append(event["sessionId"]))
        self._session.on("Target.receivedMessageFromTarget", self._receive)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self._session.send("Target.setAutoAttach", attach)

    def bytes(self) -> int:
        """What both hold: objects, and the buffers behind them, Python's memory and the model's among these.

        The least of three: what a collection finds free may only let go of more in a later task.
        """
        return min(self._collected() for _ in range(3))

    def detach(self) -> None:
        self._session.detach()

    def _collected(self) -> int:
        self._page.wait_for_timeout(100)
        self._session.send("HeapProfiler.collectGarbage")
        self._ask_worker("HeapProfiler.collectGarbage")
        self.parts = [self._session.send("Runtime.getHeapUsage"), self._ask_worker("Runtime.getHeapUsage")]
        return sum(map(held, self.parts))

    def _ask_worker(self, method: str) -> dict[str, Any]:
        number = next(self._ids)
        message = json.dumps({"id": number, "method": method})
        self._session.send("Target.sendMessageToTarget", {"sessionId": self._workers[0], "message": message})
        for _ in range(PATIENCE_MS // 20):
            if number in self._answers:
                return self._answers.pop(number)["result"]
            self._page.wait_for_timeout(20)
        raise TimeoutError(f"the worker has not answered {method} in {PATIENCE_MS} ms")

    def _receive(self, event: dict[str, str]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message


def held(usage: dict[str, int]) -> int:
    return usage["usedSize"] + usage["backingStorageSize"] + usage["embedderHeapUsedSize"]
