"""Weights on the page: how far every tensor is from parents and base, and how much of each parent's delta was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tinypylm.canonical import JsonObject
from tinypylm.provenance.schema import fields, items, number
from tinypylm_tools.breeding.difference import Distance
from tinypylm_tools.report.facts import Change, Facts
from tinypylm_tools.report.markup import Markup, element, table
from tinypylm_tools.report.measured import folded
from tinypylm_tools.report.plots import Panel, RowPlot, Series


def changes(facts: Facts) -> Iterator[Markup]:
    """Distance, signs and cosine of each tensor, as `tinypylm diff OTHER MODEL` computes them."""
    shown = [change for change in facts.changes if change.rows]
    for change in facts.changes:
        if change.missing:
            yield element("p", f"Not compared with {change.name}: {change.missing}.")
    if not facts.changes:
        yield element("p", "The records name no parent. --against compares with another model.")
    if not shown:
        return
    yield table(("against", "distance", "same sign", "cosine", "equal weights"), [
        (change.name, *_figures(change.rows[-1])) for change in shown])
    yield element("p", "Distance is the length of the difference in lengths of the other model's tensor.")
    yield RowPlot("Change of each tensor", [row.name for row in shown[0].rows[:-1]], _panels(facts, shown)).svg()
    for change in shown:
        rows = [(row.name, *_figures(row)) for row in change.rows]
        yield folded(f"Every tensor against {change.name}",
                     table(("tensor", "distance", "same sign", "cosine", "equal weights"), rows))


def _figures(row: Distance) -> tuple[str, ...]:
    return (_or_none(row.relative, 6), f"{row.sign_agreement:.6f}", _or_none(row.cosine, 6),
            f"{row.equal:,} of {row.elements:,}")


def _or_none(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _panels(facts: Facts, shown: Sequence[Change]) -> list[Panel]:
    def series(measure: Callable[[Distance], float | None]) -> list[Series]:
        return [Series(f"against {change.name}", facts.mark(change.name), [measure(row) for row in change.rows[:-1]])
                for change in shown]

    return [Panel("relative distance", series(lambda row: row.relative), low=0.0),
            Panel("share of same signs", series(lambda row: row.sign_agreement), high=1.0),
            Panel("cosine", series(lambda row: row.cosine), high=1.0)]


def densities(facts: Facts) -> Iterator[Markup]:
    """Of each parent's delta, or of each parent for a crossover: the share of elements that went into the child."""
    receipt = facts.records["receipt"]
    if "tensors" not in receipt:
        yield element("p", "No operator thinned anything out: the model was imported.")
        return
    parents = [facts.known.name(str(fields(parent)["sha256"])) for parent in items(receipt["parents"])
               if fields(parent)["role"] != "base"]
    rows = [fields(row) for row in items(receipt["tensors"])]
    kept = [_kept(row) for row in rows]
    if any(len(counts) != len(parents) for counts in kept):
        yield element("p", "The receipt's counts do not fit its parents.")
        return
    shares = [[counts[index] / number(row["elements"]) for row, counts in zip(rows, kept, strict=True)]
              for index in range(len(parents))]
    named = [Series(name, facts.mark(name), share) for name, share in zip(parents, shares, strict=True)]
    yield RowPlot("Kept of each tensor", [str(row["tensor"]) for row in rows],
                  [Panel("share of elements kept", named, 0.0, 1.0)]).svg()
    yield folded("Every tensor's counts", table(
        ("tensor", "elements", *(f"kept of {name}" for name in parents)),
        [(str(row["tensor"]), f"{number(row['elements']):,}", *(f"{count:,}" for count in counts))
         for row, counts in zip(rows, kept, strict=True)]))


def _kept(row: JsonObject) -> list[int]:
    """Elements that come from each parent, by the two ways in which receipts count them."""
    if "taken" in row:
        return [number(count) for count in items(row["taken"])]
    return [number(fields(parent)["kept"]) for parent in items(row["parents"])]
