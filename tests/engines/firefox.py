"""A stock Firefox over WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/), which it speaks by itself."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.engines.installed import find_firefox
from tests.engines.tab import PATIENCE_S, ScriptError, settled, taken
from tinypylm.errors import ErrorCode, ToolError

# Of what a person's Firefox asks the network by itself, what automation leaves on.
_PREFERENCES: dict[str, bool | str] = {
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1", "browser.safebrowsing.downloads.enabled": False,
    "app.normandy.enabled": False, "datareporting.policy.dataSubmissionEnabled": False,
}


class Firefox:
    name = "firefox"

    def __init__(self, connection: ClientConnection):
        self._connection, self._ids = connection, count(1)
        self._tabs: dict[str, FirefoxTab] = {}
        self.version = str(self.command("session.new", capabilities={})["capabilities"]["browserVersion"])
        self.command("session.subscribe", events=["log.entryAdded"])

    def command(self, method: str, **params: object) -> dict[str, Any]:
        """The result of one command; events that come meanwhile go to their tabs."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE_S))
            if message["type"] == "event":
                self._log(message["params"])
            elif message["type"] == "error":
                raise ScriptError(f"{method}: {message['error']}: {message['message']}")
            elif message["id"] == number:
                result: dict[str, Any] = message["result"]
                return result

    def new_tab(self) -> FirefoxTab:
        profile = self.command("browser.createUserContext")["userContext"]
        tab = self.command("browsingContext.create", type="tab", userContext=profile)["context"]
        self._tabs[tab] = FirefoxTab(self, profile, tab)
        return self._tabs[tab]

    def _log(self, entry: dict[str, Any]) -> None:
        tab = self._tabs.get(entry["source"].get("context", ""))
        if tab and entry["level"] == "error":
            tab.errors.append(str(entry["text"]))


class FirefoxTab:
    """A page in a container of its own."""

    def __init__(self, firefox: Firefox, profile: str, context: str):
        self._firefox, self._profile, self._context = firefox, profile, context
        self.errors: list[str] = []

    def open(self, address: str) -> None:
        self._firefox.command("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def evaluate(self, source: str, argument: object = None) -> Any:
        answer = self._firefox.command(
            "script.evaluate", expression=settled(source, argument), target={"context": self._context},
            awaitPromise=True)
        if answer["type"] == "exception":
            raise ScriptError(answer["exceptionDetails"]["text"])
        return taken([part.get("value") for part in answer["result"]["value"]])

    def close(self) -> None:
        self._firefox.command("browser.removeUserContext", userContext=self._profile)


@contextmanager
def firefox(headed: bool) -> Iterator[Firefox]:
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = [find_firefox(), "--no-remote", "--profile", folder, "--remote-debugging-port", "0"]
        with open(profile / "log", "w+b") as log, subprocess.Popen(
            [*command, *([] if headed else ["--headless"])], stdout=log, stderr=log, env=os.environ | {"HOME": folder}
        ) as process:
            try:
                with connect(_address(profile, process), max_size=None, compression=None) as connection:
                    yield Firefox(connection)
            finally:
                process.terminate()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where Firefox listens, once it has written that down."""
    found, ends = profile / "WebDriverBiDiServer.json", time.monotonic() + PATIENCE_S
    while time.monotonic() < ends and process.poll() is None:
        try:
            place = json.loads(found.read_bytes())
            return f"ws://{place['ws_host']}:{place['ws_port']}/session"
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)  # not there, or written in part
    log = (profile / "log").read_text(encoding="utf-8", errors="replace")
    raise ToolError(ErrorCode.BROWSER_MISSING, f"Firefox did not start: {log[-500:]}")
