"""Engines in a browser: a page of their own, a loaded model, and `window.engine`, which is the same for all of them."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.memory import KVCache

from .chromium import Chromium, Page

LOADED_PEER = "html[data-state=loaded]"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One run as the page saw it: tokens that the engine made, and when something of them arrived."""

    tokens: int
    first_ms: float
    arrivals_ms: list[float]

    @property
    def tokens_per_second(self) -> float:
        """Between the first arrival and the last one."""
        return 1000 * (self.tokens - 1) / (self.arrivals_ms[-1] - self.first_ms)


@dataclass(frozen=True, slots=True)
class OwnClock:
    """What an engine says of itself."""

    decode_tokens_per_second: float
    prompt_tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model in a page that nothing else shares; `threads` is how many it uses."""

    page: Page
    threads: int
    process_id: int

    def run(self, prompt: str, max_tokens: int) -> Delivery:
        """Continues the prompt greedily. Raises ToolError where the text ends too soon to say how fast it was."""
        delivery = Delivery(**self._ask("run", prompt, max_tokens))
        if delivery.tokens < max_tokens / 4:
            raise ToolError(ErrorCode.RUNTIME_FAILED, f"the model ended its text after {delivery.tokens} tokens; "
                            f"{max_tokens} were asked for, and a quarter of them is needed. Measure another model.",
                            {"tokens": delivery.tokens})
        return delivery

    def own_clock(self, prompt_tokens: int, max_tokens: int) -> OwnClock:
        """The engine's own figures, of its last run or of a benchmark that it brings."""
        return OwnClock(**self._ask("ownClock", prompt_tokens, max_tokens))

    def limit_tokens_per_second(self) -> float:
        """The best kernel's rate, measured now, over the work of one token; ours only."""
        limit = self._ask("calibrate")
        return float(limit["macs_per_second"] / limit["macs_per_token"])

    def resident_bytes(self) -> float | None:
        """Memory of the page's process; None where the system does not say it in /proc."""
        return _resident_bytes(self.process_id)

    def close(self) -> None:
        self.page.close()

    def _ask(self, method: str, *arguments: object) -> Any:
        return self.page.evaluate("(method, ...rest) => engine[method](...rest)", method, *arguments)


def open_ours(browser: Chromium, address: str, model: Path, threads: int, taken: Set[int],
              kv_cache: KVCache = KVCache.F32) -> Engine:
    """This project's engine, on the bench page of a running serve.py; `taken` are the other engines' processes."""
    page = browser.open(f"{address}bench.html?{urlencode({'threads': threads, 'kv-cache': kv_cache})}")
    _wait_for(page, "idle")
    page.choose_file("#bench-file", model)
    _wait_for(page, "loaded")
    return Engine(page, int(page.evaluate("() => engine.figures.threads")), _process_of(browser, taken))


def open_peer(browser: Chromium, address: str, threads: int, taken: Set[int]) -> Engine:
    """The engine of a peer's page, whose address asks for so many threads."""
    page = browser.open(address)
    page.wait_for(LOADED_PEER)
    return Engine(page, threads, _process_of(browser, taken))


def _wait_for(page: Page, state: str) -> None:
    page.wait_for(f"#bench-status:is([data-state={state}], [data-state=failed])")
    shown, text = page.evaluate("() => { const at = document.querySelector('#bench-status');"
                                " return [at.dataset.state, at.innerText]; }")
    if shown == "failed":
        raise ToolError(ErrorCode.RUNTIME_FAILED, text)


def _process_of(browser: Chromium, taken: Set[int]) -> int:
    """The process of the page that has just loaded a model: the largest of the browser's that nobody else has.

    Chromium keeps an empty one in reserve, and may or may not have used it.
    """
    return max(browser.renderers() - taken, key=lambda process: _resident_bytes(process) or 0)


def _resident_bytes(process_id: int) -> float | None:
    status = Path(f"/proc/{process_id}/status")
    if not status.is_file():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return 1024.0 * int(fields["VmRSS"].split()[0])
