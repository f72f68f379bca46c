"""An evaluation of one model, compared with its parents on the same items, as the body of a sidecar."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tinypylm
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance import scores
from tinypylm.provenance.records import VERSION, RecordKind
from tinypylm.provenance.schema import fields, items, number
from tinypylm_tools.evaluation.runner import NAME, Result, Runner, runner_digest
from tinypylm_tools.evaluation.suites import HeldOut, Suite

Prepare = Callable[[Runner], None]
"""Something done to a loaded model before its cases run: adapters are attached so."""


@dataclass(frozen=True, slots=True)
class Items:
    """What is run: suites and texts, ascending by name; and what quality they are to show, `none` for none."""

    suites: tuple[Suite, ...]
    texts: tuple[HeldOut, ...]
    quality_scope: str = scores.NO_SCOPE

    @classmethod
    def of(
        cls, suites: Sequence[Suite], texts: Sequence[HeldOut], quality_scope: str = scores.NO_SCOPE
    ) -> Items:
        """Raises ToolError where two suites or two texts share a name, or there is no suite."""
        for kind, names in (("suites", [suite.name for suite in suites]), ("texts", [text.name for text in texts])):
            if len(set(names)) < len(names):
                raise ToolError(ErrorCode.UNUSABLE_SUITE, f"two {kind} share a name: {', '.join(sorted(names))}.")
        if not suites:
            raise ToolError(ErrorCode.UNUSABLE_SUITE, "there is no suite; give one with --suite FILE.")
        return cls(tuple(sorted(suites, key=lambda suite: suite.name)), tuple(sorted(texts, key=lambda t: t.name)),
                   quality_scope)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one model made of the items."""

    sha256: str
    size_bytes: int
    results: tuple[Result, ...]
    documents: tuple[tuple[JsonObject, ...], ...]

    def figures(self) -> JsonObject:
        """As a compared parent."""
        bits = sum(number(row["microbits"]) for rows in self.documents for row in rows)
        return {"sha256": self.sha256, "passed": sum(result.passed for result in self.results), "microbits": bits}


def run(data: bytes, work: Items, prepare: Prepare = lambda runner: None) -> Outcome:
    """The items on the model whose file is `data`. Raises SlmError where it cannot be loaded."""
    runner = Runner(data)
    try:
        prepare(runner)
        results = tuple(runner.run(work.suites))
        documents = tuple(tuple(runner.documents(text)) for text in work.texts)
    finally:
        runner.close()
    return Outcome(hashlib.sha256(data).hexdigest(), len(data), results, documents)


Run = Callable[[bytes, Items], Outcome]
"""`run` on a bare model."""


def running_once() -> Run:
    """`run`, which remembers what a model made of the same items: parents are shared by many children."""
    known: dict[tuple[str, ...], Outcome] = {}

    def run_once(data: bytes, work: Items) -> Outcome:
        suites, texts = (suite.sha256 for suite in work.suites), (text.sha256 for text in work.texts)
        key = (hashlib.sha256(data).hexdigest(), *suites, *texts)
        if key not in known:
            known[key] = run(data, work)
        return known[key]
    return run_once


def sidecar(
    kind: RecordKind, cited: Mapping[str, str], adapters: Sequence[JsonObject], work: Items, outcome: Outcome,
    parents: Sequence[Outcome],
) -> JsonObject:
    """The body of an evaluation. cited: `candidate` or `manifest` with its identifier; parents: to compare with.

    adapters: what was attached, as {sha256, scale_bits}, in order.
    """
    rows = [result.row() for result in outcome.results]
    suites = [_suite(suite) for suite in work.suites]
    texts = [_text(text, documents) for text, documents in zip(work.texts, outcome.documents, strict=True)]
    body: JsonObject = {
        "kind": kind, "version": VERSION, **cited, "sha256": outcome.sha256, "bytes": outcome.size_bytes,
        "adapters": [*adapters],
        "runner": {"name": NAME, "tool_version": tinypylm.__version__, "sha256": runner_digest()},
        "quality_scope": work.quality_scope, "suites": [*suites], "cases": [*rows], "texts": [*texts],
        "eval_case_evidence_checksum": scores.case_checksum([*rows]), "tallies": scores.tallies(suites, rows),
        "claims": scores.claims(suites, rows, work.quality_scope),
    }
    if parents:
        body["comparison"] = comparison(outcome, parents)
    return body


def comparison(outcome: Outcome, parents: Sequence[Outcome]) -> JsonObject:
    """The model against the best of its parents."""
    figures = sorted((parent.figures() for parent in parents), key=lambda one: str(one["sha256"]))
    best = next(parent for parent in parents if parent.sha256 == scores.best_parent(figures))
    mine, theirs = ([result.row()["outcome"] for result in one.results] for one in (outcome, best))
    by_case = scores.paired_cases(mine, theirs)
    by_document = scores.paired_documents(_bits(outcome), _bits(best))
    return {
        "parents": [*figures], "best": best.sha256, "outcomes": theirs,
        "microbits": [[row["microbits"] for row in rows] for rows in best.documents],
        "cases": by_case, "documents": by_document, "verdict": scores.verdict([by_case, by_document]),
    }


def _bits(outcome: Outcome) -> list[int]:
    return [number(row["microbits"]) for rows in outcome.documents for row in rows]


def _suite(suite: Suite) -> JsonObject:
    return {"name": suite.name, "role": suite.role, "scope": suite.scope, "sha256": suite.sha256,
            "bytes": suite.size_bytes}


def _text(text: HeldOut, documents: Sequence[JsonObject]) -> JsonObject:
    return {"name": text.name, "sha256": text.sha256, "bytes": text.size_bytes, "documents": [*documents],
            "microbits_per_byte": scores.microbits_per_byte(documents)}


def summary(body: JsonObject) -> list[str]:
    """An evaluation in a few lines for a person."""
    lines = []
    for tally in map(fields, items(body["tallies"])):
        passed, count = number(tally["passed"]), number(tally["passed"]) + number(tally["failed"])
        low, high = (number(tally[key]) / 10_000 for key in ("wilson_low_ppm", "wilson_high_ppm"))
        lines.append(f"{tally['role']}: {passed} of {count} passed (95 %: {low:.1f} to {high:.1f} %)")
    for text in map(fields, items(body["texts"])):
        lines.append(f"{text['name']}: {number(text['microbits_per_byte']) / 1e6:.6f} bits per byte")
    if "comparison" in body:
        lines.append(_compared(fields(body["comparison"])))
    held = [claim for claim, holds in fields(body["claims"]).items() if holds]
    return [*lines, f"supports: {', '.join(claim.replace('_', '-') for claim in held) or 'no claim'}"]


def _compared(comparison: JsonObject) -> str:
    def counts(key: str) -> str:
        pair: dict[str, JsonValue] = fields(comparison[key])
        return (f"{key} only this {pair['only_candidate']}, only parent {pair['only_parent']} "
                f"(p {number(pair['p_ppm']) / 1e6:.4f})")
    return f"against {comparison['best']}: {comparison['verdict']}; {counts('cases')}; {counts('documents')}"
