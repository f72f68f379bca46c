"""WebKitGTK over WebDriver (https://www.w3.org/TR/webdriver2/): Debian's webkit2gtk-driver and its MiniBrowser.

It has no window but on a screen, so without one it gets Xvfb's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

from tests.engines.installed import find_webkit
from tests.engines.tab import PATIENCE_S, ScriptError, settled, taken

# Under its driver, WebKitGTK has no SharedArrayBuffer unless it is told to, though it calls the page isolated.
_ENVIRONMENT = {"JSC_useSharedArrayBuffer": "1", "WEBKIT_DISABLE_COMPOSITING_MODE": "1", "NO_AT_BRIDGE": "1"}


class WebKit:
    name = "webkit"

    def __init__(self, driver: str, browser: str):
        self._driver = driver
        options = {"binary": browser, "args": ["--automation"]}
        session = self.call("POST", "/session", capabilities={"alwaysMatch": {"webkitgtk:browserOptions": options}})
        self.version = str(session["capabilities"]["browserVersion"])
        self.session = f"/session/{session['sessionId']}"
        self._home = self.call("GET", f"{self.session}/window")
        milliseconds = 1000 * PATIENCE_S
        self.call("POST", f"{self.session}/timeouts", script=milliseconds, pageLoad=milliseconds)

    def call(self, method: str, path: str, **body: object) -> Any:
        """The value that a command answers. Raises ScriptError."""
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self._driver + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise ScriptError(f"{method} {path}: {error.read().decode()[:500]}") from error

    def new_tab(self) -> WebKitTab:
        self.call("POST", f"{self.session}/window", handle=self._home)  # the last one may be closed by now
        # Not a tab, which stays behind the first one: a page that nobody can see gets no frames to draw its text in.
        return WebKitTab(self, str(self.call("POST", f"{self.session}/window/new", type="window")["handle"]))


class WebKitTab:
    """A window; what others have kept is there, too. Its driver does not tell what a page logs."""

    def __init__(self, webkit: WebKit, handle: str):
        self._webkit, self._handle = webkit, handle
        self.errors: list[str] = []

    def open(self, address: str) -> None:
        self._call("POST", "url", url=address)

    def evaluate(self, source: str, argument: object = None) -> Any:
        script = f"const done = arguments[0]; {settled(source, argument)}.then(done);"
        return taken(self._call("POST", "execute/async", script=script, args=[]))

    def close(self) -> None:
        self._call("DELETE", "window")

    def _call(self, method: str, command: str, **body: object) -> Any:
        self._webkit.call("POST", f"{self._webkit.session}/window", handle=self._handle)
        return self._webkit.call(method, f"{self._webkit.session}/{command}", **body)


@contextmanager
def webkit(headed: bool) -> Iterator[WebKit]:
    driver, browser = find_webkit()
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True))
        screen = os.environ["DISPLAY"] if headed else stack.enter_context(_screen())
        environment = os.environ | _ENVIRONMENT | {"HOME": home, "XDG_RUNTIME_DIR": home, "DISPLAY": screen}
        port = _free_port()
        log = stack.enter_context(open(Path(home) / "log", "wb"))
        process = subprocess.Popen([driver, f"--port={port}"], env=environment, stdout=log, stderr=log)
        stack.enter_context(process)
        stack.callback(process.terminate)
        address = f"http://127.0.0.1:{port}"
        _await_driver(address)
        engine = WebKit(address, browser)
        stack.callback(engine.call, "DELETE", engine.session)
        yield engine


@contextmanager
def _screen() -> Iterator[str]:
    """The name of an X display that nobody sees."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x860x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        try:
            yield f":{number}"
        finally:
            server.terminate()


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await_driver(address: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/status", timeout=PATIENCE_S):
                return
        except urllib.error.URLError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
