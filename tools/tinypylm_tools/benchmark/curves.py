"""What one figure per model hides: how speed falls towards the end of the context, and what a longer prompt costs.

A point is short, so that a busy machine hits some and misses others; the best of three shows the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from tinypylm.format import Model

from .chart import Chart
from .comparison import Comparison, prompt_of
from .engines import Delivery, Engine

Points = list[tuple[float, float]]
_WINDOWS = 16
_REPEATS = 3
_SHORT_PROMPT = 8


def curves(title: str, engines: Mapping[str, Engine], model: Model, say: Callable[[str], None]) -> dict[str, Chart]:
    """Charts by what they show; three runs of each engine, in turns."""
    say("tokens per second by position")
    by_position = _repeated(engines, lambda engine: _rates(engine, model), max)
    say("time to first token by prompt")
    by_prompt = _repeated(engines, lambda engine: _first_tokens(engine, model), min)
    return {
        "position": Chart(f"{title}: tokens per second, delivered to the page", "position in the context", "tok/s",
                          by_position),
        "prompt": Chart(f"{title}: time to first token", "tokens of the prompt", "ms", by_prompt),
    }


def scaling(title: str, comparisons: Sequence[Comparison]) -> Chart:
    """Tokens per second by the number of threads; an engine that was measured with one number only is left out."""
    lines: dict[str, Points] = {}
    for comparison in sorted(comparisons, key=lambda comparison: comparison.threads):
        for label in comparison.turns[0]:
            rate = median(turn[label].delivered_tokens_per_second for turn in comparison.turns)
            lines.setdefault(label, []).append((float(comparison.threads), rate))
    several = {label: points for label, points in lines.items() if len(points) > 1}
    return Chart(f"{title}: tokens per second, delivered to the page", "threads", "tok/s", several)


def _repeated(
    engines: Mapping[str, Engine], measure: Callable[[Engine], Points], best: Callable[[Iterable[float]], float]
) -> dict[str, Points]:
    runs = [{label: measure(engine) for label, engine in engines.items()} for _ in range(_REPEATS)]
    return {label: _best([run[label] for run in runs], best) for label in engines}


def _best(runs: list[Points], best: Callable[[Iterable[float]], float]) -> Points:
    return [(points[0][0], best(y for _, y in points)) for points in zip(*runs, strict=True)]


def _rates(engine: Engine, model: Model) -> Points:
    """(position, tokens per second) at the middle of windows that reach from a short prompt to the context's end."""
    tokens = model.config.context_length - _SHORT_PROMPT
    return _windows(engine.run(prompt_of(model, _SHORT_PROMPT), tokens), tokens // _WINDOWS)


def _windows(delivery: Delivery, size: int) -> Points:
    at = delivery.arrivals_ms
    return [(_SHORT_PROMPT + start + size / 2, 1000 * size / (at[start + size] - at[start]))
            for start in range(0, len(at) - size, size)]


def _first_tokens(engine: Engine, model: Model) -> Points:
    """(tokens of the prompt, milliseconds to the first token) up to a prompt that leaves room for one token."""
    context_length = model.config.context_length
    lengths = [context_length * eighth // 8 - (eighth == 8) for eighth in range(1, 9)]
    return [(float(n), engine.run(prompt_of(model, n), 1).first_ms) for n in lengths]
