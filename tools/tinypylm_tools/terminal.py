"""What a command that talks for a while needs of a terminal: an orderly Ctrl-C, and text that cannot command it."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType

import click


class CtrlC:
    """While it is open, the first Ctrl-C sets `pressed` and nothing is interrupted; a second one raises as ever."""

    def __init__(self) -> None:
        self.pressed = False
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> CtrlC:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, _signal: int, _frame: FrameType | None) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, self._before)


class Writer:
    """Text onto standard output as it comes. On a terminal control characters are shown as U+FFFD, not obeyed."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self._at_line_start = True

    def write(self, text: str) -> None:
        if text:
            self._at_line_start = text.endswith("\n")
            click.echo(self._printable(text), nl=False)

    def end_line(self) -> None:
        if not self._at_line_start:
            self.write("\n")

    def _printable(self, text: str) -> str:
        shown = without_controls(text) if self._is_terminal else text
        return shown.encode(self._encoding, "replace").decode(self._encoding)


def say(text: str) -> None:
    """`text` and a line feed onto standard output: what a file says of itself, or a model says."""
    Writer().write(f"{text}\n")


def without_controls(text: str) -> str:
    """`text` with U+FFFD for what moves the cursor, sets colours or turns the direction of writing."""
    return text.translate(_CONTROLS)


_C0_AND_C1 = (*range(9), *range(11, 32), *range(127, 160))
_BIDIRECTIONAL = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = dict.fromkeys((*_C0_AND_C1, *_BIDIRECTIONAL), "\ufffd")
