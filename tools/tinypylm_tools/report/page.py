"""The page: one HTML file without scripts, without anything fetched, and the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Iterator

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.provenance.schema import fields, items, number
from tinypylm_tools.report.ancestry import drawn
from tinypylm_tools.report.facts import Facts, scale_of
from tinypylm_tools.report.markup import Markup, element, joined, table
from tinypylm_tools.report.measured import evaluation
from tinypylm_tools.report.weights import changes, densities

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-top: 1px solid #6b728066; padding-top: 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block; overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; overflow-wrap: break-word }
td { white-space: nowrap } td:last-child { white-space: normal }
th { font-weight: 600; white-space: nowrap } tr { border-bottom: 1px solid #6b728033 }
svg { display: block; width: 100%; height: auto; margin: 1rem 0; font: 12px system-ui, sans-serif }
.edge { fill: none; stroke: #6b7280 } .node, .entry { fill: Canvas; stroke: #6b7280 }
.entry { stroke: #c2410c; stroke-width: 2 } .name { fill: CanvasText; font-weight: 600 }
.holds { color: #0f766e } .fails { color: #c2410c; font-weight: 600 }
@media (prefers-color-scheme: dark) { .holds { color: #5eead4 } .fails { color: #fb923c } }
"""
_MILLIONTHS = "_millionths"


def page(facts: Facts) -> bytes:
    """The file."""
    label = str(facts.records["manifest"]["label"])
    head = element(
        "head", element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width"),
        element("title", f"{label}: report"), element("style", Markup(_STYLE)))
    sections = [
        _section("Lineage", _lineage(facts)), _section("Evaluation", evaluation(facts)),
        _section("Change of each tensor", changes(facts)), _section("Kept densities", densities(facts)),
        _section("Training", _training(facts)), _section("Chain of records", _chain(facts))]
    body = element("body", element("h1", label), joined([*_summary(facts), *sections]))
    return ("<!doctype html>\n" + element("html", joined([head, body]), lang="en").text + "\n").encode()


def _section(title: str, parts: Iterator[Markup]) -> Markup:
    return element("section", element("h2", title), joined(parts))


def _summary(facts: Facts) -> Iterator[Markup]:
    manifest, admission = facts.records["manifest"], facts.records["admission"]
    contract, metadata = fields(manifest["contract"]), facts.model.metadata
    yield _verified(facts)
    stated = {key: str(metadata[key]) for key in ("description", "source") if key in metadata}
    yield table((), [
        ("entry", facts.name), ("file", str(manifest["file"])), *stated.items(),
        ("licence", str(manifest["licence"])),
        ("architecture", f"{contract['family']}, {number(contract['parameter_count']):,} parameters"),
        ("type", str(contract["quantization"])), ("bytes", f"{number(manifest['bytes']):,}"),
        ("SHA-256", str(manifest["sha256"])),
        ("adapters", ", ".join(str(one.manifest["label"]) for one in facts.stack) or "none"),
        ("verdict", str(admission["verdict"])),
        ("claims", ", ".join(map(str, items(admission["claims"])))),
        ("candidates tried", f"{number(facts.records['candidate']['candidates_tried']):,}")])


def _verified(facts: Facts) -> Markup:
    error, count = facts.walked.error, len(facts.walked.steps)
    if error is None:
        return element("p", f"The evidence holds: {count} steps verified.", class_="holds")
    return element("p", f"The evidence does not hold: {error.code} at {error.detail.get('step', 'the registry')}. "
                   "What follows is what the records say, and is not verified.", class_="fails")


def _lineage(facts: Facts) -> Iterator[Markup]:
    receipt = facts.records["receipt"]
    yield drawn(facts.ancestry)
    if facts.stack:
        yield table(("adapter", "format", "bytes", "scale", "SHA-256"), [
            (str(one.manifest["name"]), str(one.manifest["format"]), f"{number(one.manifest['bytes']):,}",
             f"{scale_of(one):g}", str(one.manifest["sha256"])) for one in facts.stack])
    yield element("h3", f"Operator: {receipt['operator']}")
    yield table((), [(key, _shown(value)) for key, value in fields(receipt["parameters"]).items()])
    parents = [fields(parent) for parent in items(receipt["parents"])]
    if parents:
        yield table(("model", "role", "SHA-256"), [
            (facts.known.name(str(parent["sha256"])), str(parent["role"]), str(parent["sha256"]))
            for parent in parents])


def _shown(value: JsonValue) -> Markup | str:
    if isinstance(value, dict):
        return table((), [(key, _shown(inner)) for key, inner in value.items()])
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _training(facts: Facts) -> Iterator[Markup]:
    """The metadata's figures, which its maker states and no record proves."""
    told = facts.model.metadata.get("training")
    if not isinstance(told, dict) or not told:
        yield element("p", "The file's metadata say nothing of a training.")
        return
    yield element("p", "Stated in the file's metadata; the records bind these words to the file and do not prove them.")
    yield table((), [_figure(told, key) for key in told])
    if facts.losses:
        yield Markup(facts.losses.svg())


def _figure(told: JsonObject, key: str) -> tuple[str, str]:
    value = told[key]
    if isinstance(value, int) and not isinstance(value, bool):
        if key.endswith(_MILLIONTHS):
            return key.removesuffix(_MILLIONTHS).replace("_", " "), f"{value / 1e6:f}"
        return key.replace("_", " "), f"{value:,}"
    return key.replace("_", " "), str(value)


def _chain(facts: Facts) -> Iterator[Markup]:
    rows = [(step.step, step.phase, element("span", "holds", class_="holds"), step.found)
            for step in facts.walked.steps]
    error = facts.walked.error
    if error is not None:
        rows.append((str(error.detail.get("step", "registry")), str(error.detail.get("phase", "")),
                     element("span", "fails", class_="fails"), str(error.code)))
    yield table(("step", "phase", "outcome", "identifier, or what was found"), rows)
