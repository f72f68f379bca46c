"""Where this machine keeps Chromium or Chrome. Standard library only: it runs before anything is installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

VARIABLE = "TINYPYLM_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC_APPLICATIONS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
)
_WINDOWS_PROGRAMS = ("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe")


def find_browser() -> Path:
    """The executable that TINYPYLM_BROWSER names, else the first one found in the usual places.

    Raises ToolError (BROWSER_MISSING).
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _named(named)
    for candidate in _candidates():
        if candidate.is_file():
            return candidate
    raise ToolError(
        ErrorCode.BROWSER_MISSING,
        "No Chromium or Chrome was found on the PATH or in the usual places. "
        f"Install one (on Debian: apt install chromium), or set {VARIABLE} to an executable.",
    )


def launch_arguments() -> list[str]:
    """Chromium's options for a run without a person: no screen, and nothing fetched that nobody asked for."""
    arguments = [
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    # Chromium's sandbox refuses to start for root, which is who runs in a container.
    if sys.platform != "win32" and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return arguments


def _named(named: str) -> Path:
    path = shutil.which(named)
    if path is None:
        raise ToolError(
            ErrorCode.BROWSER_MISSING,
            f"{VARIABLE} is {named!r}, which is no executable. Correct it, or unset it to search for a browser.",
        )
    return Path(path)


def _candidates() -> Iterator[Path]:
    yield from (Path(path) for name in _NAMES if (path := shutil.which(name)))
    if sys.platform == "darwin":
        for folder in (Path("/Applications"), Path.home() / "Applications"):
            yield from (folder / application for application in _MAC_APPLICATIONS)
    if sys.platform == "win32":
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
            folder = Path(os.environ.get(variable, ""))
            yield from (folder / program for program in _WINDOWS_PROGRAMS)
