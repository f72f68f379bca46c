"""The evaluation on the page: bits per byte, cases, the comparison with the best parent, claims."""

from __future__ import annotations

from collections.abc import Iterator

from tinypylm.canonical import JsonObject
from tinypylm.provenance.schema import fields, items, number
from tinypylm.provenance.statistics import wilson_ppm
from tinypylm_tools.report.facts import Facts, Scored
from tinypylm_tools.report.markup import Markup, element, table
from tinypylm_tools.report.plots import Panel, RowPlot, Series


def evaluation(facts: Facts) -> Iterator[Markup]:
    """The section's parts. What a record does not have is said, and not estimated."""
    body = facts.records["evaluation"]
    yield table(("model", "bits per byte", "cases passed", "SHA-256"), [_total(facts, one) for one in facts.scored])
    yield element("p", "Bits per byte over all held-out documents; fewer are better.")
    yield from (element("p", f"{one.name} was evaluated by other sources of runtime and runner than this model.")
                for one in facts.scored if one.by_other_code)
    yield from _by_document(facts)
    yield element("h3", "Cases")
    yield from _cases(body)
    yield element("h3", "Comparison and claims")
    yield from _comparison(facts)
    yield table((), [(claim.replace("_", "-"), "supported" if holds else "not supported")
                     for claim, holds in fields(body["claims"]).items()])


def _total(facts: Facts, one: Scored) -> tuple[str, ...]:
    size = sum(number(document["bytes"]) for document in facts.documents)
    cases = len(items(facts.records["evaluation"]["cases"]))
    return one.name, f"{one.microbits / size / 1e6:.6f}" if size else "no text", f"{one.passed} of {cases}", one.sha256


def _by_document(facts: Facts) -> Iterator[Markup]:
    """A dot and a row for every document of every text."""
    if not facts.documents:
        return
    names, sizes = _document_names(facts.records["evaluation"]), [number(one["bytes"]) for one in facts.documents]
    series = [
        Series(one.name, facts.mark(one.name),
               [bits / size / 1e6 for bits, size in zip(one.documents, sizes, strict=True)])
        for one in facts.scored if one.documents]
    yield RowPlot("Bits per byte of each held-out document", names, [Panel("bits per byte", series)]).svg()
    yield from (element("p", f"No record here has the single documents of {one.name}.")
                for one in facts.scored if not one.documents)
    rows = [(name, f"{size:,}", *(f"{one.values[index]:.4f}" for one in series))
            for index, (name, size) in enumerate(zip(names, sizes, strict=True))]
    yield folded("Every document", table(("document", "bytes", *(one.name for one in series)), rows))


def _document_names(body: JsonObject) -> list[str]:
    """Documents have no names of their own: the text's, and a number."""
    return [f"{text['name']} {index + 1}" for text in map(fields, items(body["texts"]))
            for index in range(len(items(text["documents"])))]


def _cases(body: JsonObject) -> Iterator[Markup]:
    counts = list(_by_suite(body))
    shares = [passed / count for _, passed, count in counts]
    intervals = [(low / 1e6, high / 1e6) for low, high in (wilson_ppm(passed, count) for _, passed, count in counts)]
    yield RowPlot("Cases passed, by suite", [str(suite["name"]) for suite, _, _ in counts], [
        Panel("share of cases passed", [Series("with Wilson's 95 % interval", 0, shares, intervals)], 0.0, 1.0)]).svg()
    yield table(("suite", "role", "passed", "95 % interval", "about"), [
        (str(suite["name"]), str(suite["role"]), f"{passed} of {count}", f"{low:.1%} to {high:.1%}",
         str(suite["scope"])) for (suite, passed, count), (low, high) in zip(counts, intervals, strict=True)])
    failed = [f"{case['suite']}/{case['id']}" for case in map(fields, items(body["cases"]))
              if case["outcome"] != "passed"]
    yield element("p", f"Failed: {', '.join(failed)}." if failed else "No case failed.")


def _by_suite(body: JsonObject) -> Iterator[tuple[JsonObject, int, int]]:
    """Each suite with its passed and all of its cases."""
    for suite in map(fields, items(body["suites"])):
        outcomes = [fields(case)["outcome"] for case in items(body["cases"]) if fields(case)["suite"] == suite["name"]]
        yield suite, outcomes.count("passed"), len(outcomes)


def _comparison(facts: Facts) -> Iterator[Markup]:
    body = facts.records["evaluation"]
    if "comparison" not in body:
        yield element("p", "The records name no parent, so there is nothing to be better than.")
        return
    comparison = fields(body["comparison"])
    best = facts.known.name(str(comparison["best"]))
    is_bare = comparison["best"] == body["sha256"]
    yield element("p", "Against ", element("b", best), ", the model without adapters: " if is_bare else
                  ", the best of the parents: ",
                  element("b", str(comparison["verdict"]), class_="verdict"), ".")
    yield table(("items", "both", "only this model", "only the parent", "neither", "McNemar's exact p"), [
        (what, *(f"{number(pair[key]):,}" for key in ("both", "only_candidate", "only_parent", "neither")),
         f"{number(pair['p_ppm']) / 1e6:.6f}")
        for what, pair in ((what, fields(comparison[what])) for what in ("cases", "documents"))])
    yield element("p", "A case counts for the model that passes it, a document for the one that takes fewer bits.")


def folded(summary: str, *content: Markup) -> Markup:
    """Something long, shown when asked for."""
    return element("details", element("summary", summary), *content)
