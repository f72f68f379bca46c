"""What every engine can do for a journey, and starting one by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

NAMES = ("chromium", "firefox", "webkit")
PATIENCE_S = 60
"""How long a browser may take to start, to open a page or to answer, on a machine that is busy."""


class Tab(Protocol):
    """One page. `errors` holds what it logged as an error or threw, as far as the engine's driver tells."""

    errors: list[str]

    def open(self, address: str) -> None:
        """Returns when the document and its scripts were run."""

    def evaluate(self, source: str, argument: object = None) -> Any:
        """What the function `source` resolves with for `argument`, both JSON; of an expression, its value."""

    def close(self) -> None: ...


class Engine(Protocol):
    """A browser that runs."""

    name: str
    version: str

    def new_tab(self) -> Tab: ...


class ScriptError(Exception):
    """What a script threw in a tab."""


@contextmanager
def started(name: str, headed: bool = False) -> Iterator[Engine]:
    """Firefox or WebKit, until the block ends. Raises ToolError (BrowserMissing) where it is not installed."""
    start: Callable[[bool], AbstractContextManager[Engine]]
    if name == "firefox":
        from tests.engines.firefox import firefox as start
    else:
        from tests.engines.webkit import webkit as start
    with start(headed) as engine:
        yield engine


def settled(source: str, argument: object) -> str:
    """An expression that resolves with [value as JSON or null, error or null]."""
    value = f"JSON.parse({json.dumps(json.dumps(argument))})"
    return f"""(async () => {{
      try {{
        const made = ({source});
        return [JSON.stringify(await (typeof made === "function" ? made({value}) : made)) ?? null, null];
      }} catch (error) {{
        return [null, `${{error?.code ?? ""}} ${{error?.stack ?? error}}`];
      }}
    }})()"""


def taken(outcome: list[str | None]) -> Any:
    """The value of a settled expression. Raises ScriptError."""
    value, error = outcome
    if error is not None:
        raise ScriptError(error)
    return None if value is None else json.loads(value)
