"""Chromium as a visitor has it: driven without an inspector of the network.

Playwright always turns one on, and then each response stays in the page's process, encoded in base64: tens of megabytes
for a page of ours, and time. This speaks the DevTools protocol itself (chromedevtools.github.io, version 1.3), and
only what opens a page, asks it and closes it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.browser import find_browser, launch_arguments

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

START_SECONDS = 60.0
_ANSWER_SECONDS = 600.0
ELEMENT_SECONDS = 600.0
_POLL_SECONDS = 0.05
_PORT_FILE = "DevToolsActivePort"
# Several pages are open at once; none is a background one.
_EQUAL_PAGES = ("--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding")


@dataclass(frozen=True, slots=True)
class Chromium:
    """A running browser without a window; make one with `open_chromium`."""

    socket: ClientConnection
    _numbers: Iterator[int] = field(default_factory=count)

    def open(self, address: str, before: str = "", private: bool = True) -> Page:
        """A page at `address`, in which the script `before` ran first; a private one shares nothing with others."""
        context = {"browserContextId": self.send("Target.createBrowserContext")["browserContextId"]} if private else {}
        target = self.send("Target.createTarget", url="about:blank", newWindow=True, **context)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session, context)
        page.send("Page.enable")
        page.send("Page.addScriptToEvaluateOnNewDocument", source=before)
        page.navigate(address)
        return page

    def version(self) -> str:
        product = str(self.send("Browser.getVersion")["product"])  # Chrome/156.0.8078.79
        return product.partition("/")[2]

    def renderers(self) -> set[int]:
        """The ids of the processes of pages."""
        processes = self.send("SystemInfo.getProcessInfo")["processInfo"]
        return {int(process["id"]) for process in processes if process["type"] == "renderer"}

    def send(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """The result of a command. Raises ToolError where it fails."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(message if session is None else message | {"sessionId": session}))
        while (answer := json.loads(self.socket.recv(_ANSWER_SECONDS))).get("id") != number:
            pass  # events of pages
        if "error" in answer:
            raise _failed(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a browser."""

    browser: Chromium
    _target: str
    _session: str
    _context: dict[str, str]

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        return self.browser.send(method, self._session, **parameters)

    def navigate(self, address: str) -> None:
        """Raises ToolError where nothing answers there."""
        error = self.send("Page.navigate", url=address).get("errorText")
        if error:
            raise ToolError(ErrorCode.RUNTIME_FAILED, f"{address} did not open: {error}", {"address": address})

    def evaluate(self, function: str, *arguments: object) -> Any:
        """What the JavaScript function makes of the arguments, awaited. Raises ToolError with what it throws."""
        call = f"({function})(...{json.dumps(arguments)})"
        answer = self.send("Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"].get("exception", {})
            raise _failed(thrown.get("description", thrown.get("value", answer["exceptionDetails"]["text"])))
        return answer["result"].get("value")

    def wait_for(self, selector: str) -> None:
        """Until an element is there. Raises ToolError where it does not come."""
        ends = time.monotonic() + ELEMENT_SECONDS
        while not self.evaluate("(selector) => document.querySelector(selector) !== null", selector):
            if time.monotonic() > ends:
                raise _failed(f"nothing in it was {selector} within {ELEMENT_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)

    def choose_file(self, selector: str, path: Path) -> None:
        """As a person does in a form."""
        found = self.send("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.send("DOM.setFileInputFiles", objectId=found["result"]["objectId"], files=[str(path.resolve())])

    def close(self) -> None:
        self.browser.send("Target.closeTarget", targetId=self._target)
        if self._context:
            self.browser.send("Target.disposeBrowserContext", **self._context)


def _failed(why: str) -> ToolError:
    return ToolError(ErrorCode.RUNTIME_FAILED, f"a page under measurement failed: {why}")


@contextmanager
def open_chromium() -> Iterator[Chromium]:
    """With an empty profile on disk, as a person has one. Raises ToolError where it does not start."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(find_browser()), "--headless", "--remote-debugging-port=0", f"--user-data-dir={profile}",
                   *launch_arguments(), *_EQUAL_PAGES, "about:blank"]
        library = _library()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            address = _address(Path(profile) / _PORT_FILE, process)
            with library.sync.client.connect(address, max_size=None, compression=None) as socket:
                yield Chromium(socket)
        except (TimeoutError, library.exceptions.WebSocketException) as error:
            raise _failed(f"the browser does not answer ({error})") from error
        finally:
            process.terminate()
            process.wait()


def _library() -> Any:
    try:
        import websockets.sync.client  # noqa: PLC0415 - an extra: only this command needs it
    except ImportError:
        raise ToolError(ErrorCode.MISSING_FILE, "the benchmark drives a browser through websockets, which is not "
                        "installed: pip install -e '.[test]'") from None
    return websockets


def _address(port_file: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens, which it writes down when it does."""
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        lines = port_file.read_text().splitlines() if port_file.is_file() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(_POLL_SECONDS)
    raise ToolError(ErrorCode.BROWSER_MISSING, f"Chromium did not start: no {_PORT_FILE} within {START_SECONDS:.0f} "
                    f"seconds; its exit status is {process.poll()}. Start it by hand to see why.")
