"""The text of one request: decoded token by token, ended before a stop string, bounded in bytes."""

from __future__ import annotations

from tinypylm.errors import ErrorCode, SessionError
from tinypylm.stopping import StopStrings
from tinypylm.tokenizer import Tokenizer

OUTPUT_LIMIT_BYTES = 65_536
"""UTF-8 bytes that one request may give out."""


class Output:
    """Tokens in, text out. `stopped` turns true with the token that completes a stop string."""

    def __init__(self, tokenizer: Tokenizer, stop_strings: tuple[str, ...], limit_bytes: int):
        self.stopped = False
        self._decoder = tokenizer.stream()
        self._stop_strings = StopStrings(stop_strings) if stop_strings else None
        self._limit_bytes = limit_bytes
        self._given_bytes = 0

    def push(self, token: int) -> str:
        """The text that this token makes safe to give out. Raises SessionError beyond the limit."""
        text = self._decoder.push(token)
        if self._stop_strings:
            text, self.stopped = self._stop_strings.push(text)
        return self._counted(text)

    def finish(self) -> str:
        """What was held back: the beginning of a stop string, and U+FFFD for an unfinished character."""
        if self.stopped:
            return ""
        text = self._decoder.finish()
        if self._stop_strings:
            text, self.stopped = self._stop_strings.push(text)
            text += self._stop_strings.finish()
        return self._counted(text)

    def _counted(self, text: str) -> str:
        self._given_bytes += len(text.encode())
        if self._given_bytes > self._limit_bytes:
            raise SessionError(
                ErrorCode.OUTPUT_BUFFER_EXCEEDED,
                f"the text has grown beyond the {self._limit_bytes} bytes that one request may give out; "
                "the context is cleared. Ask for fewer tokens (max_tokens)",
                {"limit_bytes": self._limit_bytes},
            )
        return text
