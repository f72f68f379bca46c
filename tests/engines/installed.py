"""Where this machine has Firefox and WebKitGTK, and Debian's packages of them. Standard library only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

FIREFOX_VARIABLE = "TINYPYLM_FIREFOX"
PACKAGES = {"firefox": ["firefox-esr"], "webkit": ["webkit2gtk-driver", "xvfb"]}
_FIREFOXES = ("firefox-esr", "firefox")
_MINI_BROWSERS = "usr/lib/*/webkit2gtk-4.*/MiniBrowser"


def find_firefox() -> str:
    """Raises ToolError (BrowserMissing)."""
    names = [os.environ[FIREFOX_VARIABLE]] if FIREFOX_VARIABLE in os.environ else _FIREFOXES
    for name in names:
        if path := shutil.which(name):
            return path
    raise _missing(" or ".join(names), "firefox", f", or set {FIREFOX_VARIABLE} to an executable")


def find_webkit() -> tuple[str, str]:
    """Driver and browser. Raises ToolError (BrowserMissing)."""
    driver, browsers = shutil.which("WebKitWebDriver"), sorted(Path("/").glob(_MINI_BROWSERS))
    if driver is None:
        raise _missing("WebKitWebDriver", "webkit")
    if not browsers:
        raise _missing("MiniBrowser", "webkit")
    if not shutil.which("Xvfb"):
        raise _missing("Xvfb", "webkit")
    return driver, str(browsers[-1])


FIND = {"firefox": find_firefox, "webkit": find_webkit}


def _missing(what: str, name: str, otherwise: str = "") -> ToolError:
    advice = f"On Debian: apt install {' '.join(PACKAGES[name])}{otherwise}."
    return ToolError(ErrorCode.BROWSER_MISSING, f"No {what} was found. {advice}", {"engine": name})
