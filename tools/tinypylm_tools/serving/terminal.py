"""What set-up and server say on the terminal: whole lines, and one line that is overwritten while work goes on."""

from __future__ import annotations

import sys
import threading


class Terminal:
    """Lines go to standard error, so that standard output holds nothing but the address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ticking = False

    def say(self, text: str) -> None:
        with self._lock:
            self._write(("\r\x1b[K" if self._ticking else "") + text + "\n")
            self._ticking = False

    def tick(self, text: str) -> None:
        """Overwrite the line; nothing where standard error is not a terminal."""
        if sys.stderr.isatty():
            with self._lock:
                self._write(f"\r\x1b[K{text}")
                self._ticking = True

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            pass  # whoever read our lines has left; serving goes on
