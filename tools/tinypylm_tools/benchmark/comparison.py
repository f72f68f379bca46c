"""The protocol: every engine continues the same prompt in turns, run after run, with the machine's limit in between.

A machine that others use is slower in one minute than in the next; what one turn shows of all engines can be compared.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinypylm.format import Model
from tinypylm.tokenizer import Tokenizer

from .engines import Engine
from .visits import Visits

MOST_TOKENS = 128
_WARM_UP_TURNS = 2
"""Browsers compile what is busy anew while it runs, ours and the peers' alike."""
_REST_SECONDS = 0.5
"""Before an engine's run: threads of the one before may still look for work, and collectors run."""
OURS = "ours"
_TEXT = (
    "Once upon a time there was a small engine in a green valley. Every morning it pulled two red wagons up the hill, "
    "and every evening it rolled back down with milk and apples for the town. One day the rain washed away the bridge. "
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one engine. The first two are what the engine says of itself, the others what reached the page."""

    decode_tokens_per_second: float
    prompt_tokens_per_second: float
    delivered_tokens_per_second: float
    time_to_first_token_ms: float
    renderer_rss_bytes: float | None


LIMITED = ("decode_tokens_per_second", "delivered_tokens_per_second")
"""Metrics that the rate of the one-token kernel bounds."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All turns of all engines with one model and one number of threads, and visits of their pages."""

    shape: str
    quantization: str
    threads: int
    limit_tokens_per_second: float | None
    turns: list[dict[str, Sample]]
    visits: list[dict[str, Visits]]


def prompt_of(model: Model, tokens: int) -> str:
    """The shortest beginning of the text that has so many tokens in this model, or the next larger number."""
    tokenizer, text = Tokenizer.of(model), _TEXT
    while len(tokenizer.encode(text)) < tokens:
        text += text
    return text[: bisect_left(range(len(text)), tokens, key=lambda end: len(tokenizer.encode(text[:end])))]


def measured_tokens(model: Model) -> int:
    """Of the prompt, and of what follows it: half of a short context each."""
    return min(MOST_TOKENS, model.config.context_length // 2)


def take_turns(
    engines: Mapping[str, Engine], yardstick: Engine | None, model: Model, runs: int, say: Callable[[str], None]
) -> tuple[list[dict[str, Sample]], float | None]:
    """The samples of `runs` turns, after two that do not count, and the highest limit that `yardstick` has found.

    `yardstick` is one of ours in a page that measures nothing else: what a calibration leaves behind for the collector
    would count as memory of the engine.
    """
    limits, turns, tokens = [], [], measured_tokens(model)
    prompt = prompt_of(model, tokens)
    for n in range(1 - _WARM_UP_TURNS, runs + 1):
        say(f"turn {n} of {runs}" if n > 0 else "warming up")
        if yardstick is not None:
            limits.append(yardstick.limit_tokens_per_second())
        turns.append({label: _sample(engine, prompt, tokens) for label, engine in engines.items()})
    return turns[_WARM_UP_TURNS:], max(limits, default=None)


def _sample(engine: Engine, prompt: str, tokens: int) -> Sample:
    time.sleep(_REST_SECONDS)
    delivery, own = engine.run(prompt, tokens), engine.own_clock(tokens, tokens)
    return Sample(own.decode_tokens_per_second, own.prompt_tokens_per_second, delivery.tokens_per_second,
                  delivery.first_ms, engine.resident_bytes())
