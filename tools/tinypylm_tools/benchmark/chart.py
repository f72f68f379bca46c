"""A line chart as SVG text: a linear axis to the right, a logarithmic one upwards, and a name for each line.

Logarithmic, because engines differ by factors, and a factor is the same height anywhere on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

Line = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 560, 60, 344
COLOURS = ("#c2410c", "#1d4ed8", "#0f766e", "#6d28d9")
GREY = "#6b7280"
"""Can be read on a light page and on a dark one."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Chart:
    """At most four lines, by name, each as points from left to right with heights above 0."""

    title: str
    across: str
    up: str
    lines: Mapping[str, Line]

    def svg(self) -> str:
        """One document, drawn for a light and a dark page alike."""
        opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
        title = _text(_LEFT, 22, self.title, size=15)
        return "\n".join([opening, title, *self._axes(), *self._curves(), "</svg>\n"])

    @property
    def _last(self) -> float:
        return max(x for line in self.lines.values() for x, _ in line)

    @property
    def _ticks(self) -> list[float]:
        """1, 2 and 5 times powers of ten, so that every height lies between the first and the last."""
        heights = [y for line in self.lines.values() for _, y in line]
        powers = range(floor(log10(min(heights))), ceil(log10(max(heights))) + 1)
        every = [step * 10.0**power for power in powers for step in _STEPS]
        below = max(tick for tick in every if tick <= min(heights))
        above = min(tick for tick in every if tick > max(heights))
        return [tick for tick in every if below <= tick <= above]

    def _place(self, x: float, y: float) -> tuple[float, float]:
        low, high = self._ticks[0], self._ticks[-1]
        return (_LEFT + (_RIGHT - _LEFT) * x / self._last,
                _BOTTOM - (_BOTTOM - _TOP) * log10(y / low) / log10(high / low))

    def _axes(self) -> Iterator[str]:
        for y in self._ticks:
            height = self._place(0, y)[1]
            yield f'<path d="M{_LEFT} {height:.1f}H{_RIGHT}" stroke="{GREY}" stroke-opacity=".3"/>'
            yield _text(_LEFT - 8, height + 4, f"{y:,g}", anchor="end")
        for quarter in range(5):
            x = self._last * quarter / 4
            label = f"{x:,.0f}" if self._last > 10 else f"{x:g}"
            yield _text(self._place(x, self._ticks[0])[0], _BOTTOM + 20, label, anchor="middle")
        yield _text((_LEFT + _RIGHT) / 2, _BOTTOM + 44, self.across, anchor="middle")
        yield _text(_LEFT - 8, _TOP - 14, self.up)

    def _curves(self) -> Iterator[str]:
        ends = _apart([self._place(*line[-1])[1] for line in self.lines.values()])
        for colour, end, (name, line) in zip(COLOURS, ends, self.lines.items(), strict=False):
            points = " ".join("{:.1f},{:.1f}".format(*self._place(x, y)) for x, y in line)
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            yield _text(_RIGHT + 8, end + 4, name, colour=colour)


def _apart(heights: Sequence[float], gap: float = 16) -> list[float]:
    """The same heights, moved down where two names would cover each other."""
    placed: dict[int, float] = {}
    for n in sorted(range(len(heights)), key=lambda n: heights[n]):
        placed[n] = max(heights[n], max(placed.values(), default=-gap) + gap)
    return [placed[n] for n in range(len(heights))]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12, colour: str = GREY) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{escape(text)}</text>")
