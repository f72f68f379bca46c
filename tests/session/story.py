"""A session on a model, and whole stories from it."""

from __future__ import annotations

from collections.abc import Callable

from tinypylm.generation import TokenEvent
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session

GREEDY = SamplingOptions(temperature=0)


class Story:
    """A session with a model loaded, and a run from prompt to end in one call."""

    def __init__(self, data: bytes, **session_options: int):
        self.session = Session(NativeHost(), **session_options)
        self.session.load(data)

    def tell(
        self, prompt: str, deadline: Callable[[], bool] = lambda: False, **options: float | tuple[str, ...]
    ) -> list[TokenEvent]:
        self.session.start(prompt, SamplingOptions.from_dict({"temperature": 0} | options))
        return self.rest(deadline)

    def rest(self, deadline: Callable[[], bool] = lambda: False) -> list[TokenEvent]:
        events = []
        while not self.session.finished:
            events += self.session.advance(deadline)
        return events


def text_of(events: list[TokenEvent]) -> str:
    return "".join(event.text for event in events)
