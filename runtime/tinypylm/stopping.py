"""Stop strings, found in the text as it streams: neither they nor what follows them is ever given out."""

from __future__ import annotations


class StopStrings:
    """Looks for the first stop string to be completed, and holds back what may still become one.

    What comes out depends on the text alone, not on the pieces in which it arrives.
    """

    def __init__(self, stop_strings: tuple[str, ...]):
        self._stop_strings = stop_strings
        self._reach = max(map(len, stop_strings), default=0)
        self._first_characters = {stop[0] for stop in stop_strings}
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """The text that is safe to give out, and whether a stop string ended it."""
        text = self._held + text
        found = [(start + len(stop), start) for stop in self._stop_strings if (start := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)[1]], True
        safe = self._safe_length(text)
        self._held = text[safe:]
        return text[:safe], False

    def finish(self) -> str:
        """What was held back; no stop string came of it."""
        held, self._held = self._held, ""
        return held

    def _safe_length(self, text: str) -> int:
        """Where the longest tail begins that is the beginning of a stop string."""
        for start in range(max(0, len(text) - self._reach + 1), len(text)):
            if text[start] in self._first_characters and self._may_become_one(text[start:]):
                return start
        return len(text)

    def _may_become_one(self, tail: str) -> bool:
        return any(stop.startswith(tail) for stop in self._stop_strings)
