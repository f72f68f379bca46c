"""The two tables of docs/protocol.md that say which event leads from which state where."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "protocol.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Table:
    """`following[state][event]` is the next state; `refusal[state]` the code of every other event."""

    following: dict[str, dict[str, str]]
    refusal: dict[str, str]

    @property
    def events(self) -> list[str]:
        return sorted({event for row in self.following.values() for event in row})

    def path(self, start: str, to: str) -> list[str]:
        """The fewest events that lead from `start` to `to`."""
        waiting: deque[tuple[str, list[str]]] = deque([(start, [])])
        seen = {start}
        while waiting:
            state, events = waiting.popleft()
            if state == to:
                return events
            for event, following in self.following[state].items():
                if following not in seen:
                    seen.add(following)
                    waiting.append((following, [*events, event]))
        raise AssertionError(f"no events lead from {start} to {to}")


def documented(first_column: str) -> Table:
    """The table whose header begins with `first_column`."""
    lines = DOCUMENT.split(f"\n| {first_column} | event > next state | otherwise |\n")[1].splitlines()[1:]
    rows = [re.findall(r"(?<=\| ).*?(?= \|)", line) for line in lines[: lines.index("")]]
    names = [cell.strip("`") for cell, _, _ in rows]
    following = [dict(re.findall(r"`([a-z ]+)` > `([a-z-]+)`", cell)) for _, cell, _ in rows]
    return Table(dict(zip(names, following, strict=True)), {row[0].strip("`"): row[2].strip("`") for row in rows})


PAGE = documented("state")
SESSION = documented("session")
