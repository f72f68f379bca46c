"""Browsers driven with what a Debian package has: a tab opens an address and evaluates JavaScript.

Playwright's Firefox and WebKit are builds of its own. These are the ones that people have: Firefox over WebDriver BiDi,
WebKitGTK over WebDriver. Journeys for all engines need no more than a tab can.
"""

from __future__ import annotations

from tests.engines.tab import NAMES, Engine, Tab, started

__all__ = ["NAMES", "Engine", "Tab", "started"]
