"""What the comparisons say: JSON rows for programs, a Markdown table for people. Figures are medians over the turns."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from .comparison import LIMITED, OURS, Comparison, Sample
from .visits import Visits

Row = dict[str, Any]
_TITLES = {
    "decode_tokens_per_second": "decode, own clock, tok/s", "delivered_tokens_per_second": "decode, delivered, tok/s",
    "prompt_tokens_per_second": "prompt, own clock, tok/s", "time_to_first_token_ms": "time to first token, ms",
    "renderer_rss_bytes": "renderer memory, MB", "ready_first_visit_ms": "first visit, ready, ms",
    "ready_second_visit_ms": "second visit, ready, ms",
}


def document(browser: str, comparisons: Iterable[Comparison]) -> Row:
    """All figures; `runs` of a row holds each turn's, by engine."""
    return {
        "machine": machine(), "browser": browser, "date": datetime.now(UTC).date().isoformat(),
        "results": [row for comparison in comparisons for row in rows(comparison)],
    }


def rows(comparison: Comparison) -> Iterator[Row]:
    """One row for each metric; an engine that has no figure for it is not in it."""
    for kind, runs in ((Sample, comparison.turns), (Visits, comparison.visits)):
        for metric in fields(kind):
            values = [_figures(run, metric.name) for run in runs]
            if any(values):
                yield _row(comparison, metric.name, values)


def _figures(run: Mapping[str, Sample | Visits], metric: str) -> dict[str, float]:
    figures = {label: getattr(figures, metric) for label, figures in run.items()}
    return {label: value for label, value in figures.items() if value is not None}


def _row(comparison: Comparison, metric: str, runs: list[dict[str, float]]) -> Row:
    medians = {label: median(run[label] for run in runs) for label in runs[0]}
    return {
        "shape": comparison.shape, "quantization": comparison.quantization, "threads": comparison.threads,
        "metric": metric, "ours": medians.pop(OURS, None), "peers": medians,
        "limit": comparison.limit_tokens_per_second if metric in LIMITED else None, "runs": runs,
    }


def table(document: Row) -> str:
    """Markdown, as the README shows it. A ratio says how many times better ours is: faster, sooner, smaller."""
    peers = list(dict.fromkeys(label for row in document["results"] for label in row["peers"]))
    ratios = [f"against {label}" for label in peers]
    titles = ["model", "threads", "figure", "ours", *peers, "limit", "of limit", *ratios]
    lines = [f"{document['browser']}, {document['machine']}, {document['date']}; median (lowest to highest).", "",
             _line(titles), _line(["---"] * len(titles))]
    return "\n".join([*lines, *(_line(_cells(row, peers)) for row in document["results"])])


def machine() -> str:
    """Processor and cores, as the system names them."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return f"{models[0] if models else name}, {len(models)} cores"
    return name


def _cells(row: Row, peers: list[str]) -> Iterator[str]:
    name = row["shape"] if row["quantization"] in row["shape"] else f"{row['shape']} {row['quantization']}"
    yield from (name, str(row["threads"]), _TITLES[row["metric"]])
    yield from (_spread(row, label) for label in (OURS, *peers))
    limit, ours = row["limit"], row["ours"]
    yield _number(row["metric"], limit) if limit else ""
    yield f"{ours / limit:.0%}" if limit and ours else ""
    for label in peers:
        theirs = row["peers"].get(label)
        more_is_better = row["metric"].endswith("per_second")
        yield f"{ours / theirs if more_is_better else theirs / ours:.2f}" if ours and theirs else ""


def _spread(row: Row, label: str) -> str:
    """`500 (490 to 510)`, or nothing where this engine has no such figure."""
    values = [run[label] for run in row["runs"] if label in run]
    if not values:
        return ""
    low, middle, high = (_number(row["metric"], value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"


def _number(metric: str, value: float) -> str:
    if metric.endswith("_bytes"):
        return f"{value / 1e6:,.0f}"
    return f"{value:,.1f}" if metric.endswith("_ms") else f"{value:,.0f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
