"""Plots of many rows as SVG: a name on the left, and in each panel a dot for each series, with its interval if any.

For what has names and no order, where the benchmark's lines would join what does not follow from each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from tinypylm_tools.benchmark.chart import COLOURS, GREY
from tinypylm_tools.report.markup import Markup, element, joined, shortened

_ROW, _TITLES, _BOTTOM, _NAMES, _WIDTH, _GAP = 17, 40, 34, 190, 860, 28
_IN_A_LINE = 3
_TICKS = 4
_NAME_CHARACTERS = 28
_SPREAD = 12
"""Over how much of a row its dots are spread, so that equal values are seen."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each row, None where there is none; `intervals` around them, if any. Equal marks look the same."""

    name: str
    mark: int
    values: Sequence[float | None]
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """A scale from `low` to `high`, or over all values where these are not given."""

    title: str
    series: Sequence[Series]
    low: float | None = None
    high: float | None = None

    def ends(self) -> tuple[float, float]:
        """Where the scale begins and ends; apart, also where all values are the same."""
        found = [value for one in self.series for value in one.values if value is not None]
        low = min(found, default=0.0) if self.low is None else self.low
        high = max(found, default=1.0) if self.high is None else self.high
        return (low, high) if high > low else (low - 0.5, low + 0.5)


@dataclass(frozen=True, slots=True)
class RowPlot:
    """Panels side by side over the same rows; their series are named once, by the first panel."""

    title: str
    rows: Sequence[str]
    panels: Sequence[Panel]

    def svg(self) -> Markup:
        parts = [*self._legend(), *self._names()]
        for index, panel in enumerate(self.panels):
            parts += self._panel(panel, *self._sides(index))
        return element("svg", joined(parts), viewBox=f"0 0 {_WIDTH} {self._foot + _BOTTOM}", role="img",
                       aria_label=self.title)

    @property
    def _top(self) -> int:
        return _TITLES + _ROW * ceil(len(self.panels[0].series) / _IN_A_LINE)

    @property
    def _foot(self) -> int:
        return self._top + _ROW * len(self.rows)

    def _sides(self, index: int) -> tuple[float, float]:
        width = (_WIDTH - _NAMES - _GAP / 2) / len(self.panels)
        return _NAMES + index * width, _NAMES + (index + 1) * width - _GAP

    def _legend(self) -> Iterator[Markup]:
        for index, one in enumerate(self.panels[0].series):
            line, place = divmod(index, _IN_A_LINE)
            x, y = _NAMES + place * (_WIDTH - _NAMES) / _IN_A_LINE, _ROW * (line + 1) - 4
            yield _dot(x, y, one.mark)
            yield words(x + 9, y + 4, shortened(one.name, _NAME_CHARACTERS))

    def _names(self) -> Iterator[Markup]:
        for index, name in enumerate(self.rows):
            yield words(_NAMES - 14, self._height(index) + 4, shortened(name, _NAME_CHARACTERS), anchor="end")

    def _height(self, row: int) -> float:
        return self._top + _ROW * (row + 0.5)

    def _panel(self, panel: Panel, left: float, right: float) -> Iterator[Markup]:
        low, high = panel.ends()

        def place(value: float) -> float:
            return left + (right - left) * (value - low) / (high - low)

        yield words(left, self._top - 14, panel.title)
        for tick in ticks(low, high):
            x = place(tick)
            yield element("path", d=f"M{x:.1f} {self._top}V{self._foot}", stroke=GREY, stroke_opacity=".3")
            yield words(x, self._foot + 16, f"{tick:g}", anchor="middle")
        for index, series in enumerate(panel.series):
            below = _SPREAD * ((index + 1) / (len(panel.series) + 1) - 0.5)
            for row, (start, end) in enumerate(series.intervals):
                yield element("path", d=f"M{place(start):.1f} {self._height(row) + below:.1f}H{place(end):.1f}",
                              stroke=_colour(series.mark), stroke_width=2, stroke_opacity=".5")
            for row, value in enumerate(series.values):
                if value is not None:
                    yield _dot(place(value), self._height(row) + below, series.mark)


def ticks(low: float, high: float) -> list[float]:
    """About four round numbers from `low` to `high`."""
    rough = (high - low) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(index * step, 12) for index in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def words(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return element("text", text, x=float(x), y=float(y), text_anchor=anchor, fill=GREY)


def _dot(x: float, y: float, mark: int) -> Markup:
    """The colours are four; further marks are rings in the same ones."""
    filled = _colour(mark) if mark < len(COLOURS) else "none"
    return element("circle", cx=float(x), cy=float(y), r=3, fill=filled, stroke=_colour(mark), fill_opacity=".8")


def _colour(mark: int) -> str:
    return COLOURS[mark % len(COLOURS)]
