"""What an evaluation's rows amount to: tallies, claims, comparison, checksum. Writers and verifiers share the rules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.evaluation import ROLES
from tinypylm.provenance.schema import fields, items, number
from tinypylm.provenance.statistics import is_shown, mcnemar_ppm, wilson_ppm

NO_SCOPE = "none"
_PLACEHOLDERS = frozenset({"placeholder", "todo", "tbd", "none", "n/a", "unknown", "test", "-", "?"})


def case_checksum(cases: JsonValue) -> str:
    """`eval_case_evidence_checksum`: SHA-256 over the case rows, ascending by suite and id."""
    return hashlib.sha256(b"slm/evaluation-cases/v1\n" + canonical.dumps(cases)).hexdigest()


def tallies(suites: Sequence[JsonObject], cases: Sequence[JsonObject]) -> list[JsonValue]:
    """Passed and failed cases by role, with the Wilson interval of the share that passed."""
    rows: list[JsonValue] = []
    for role, chosen in _by_role(suites, cases).items():
        passed = sum(case["outcome"] == "passed" for case in chosen)
        low, high = wilson_ppm(passed, len(chosen))
        rows.append({"role": role, "passed": passed, "failed": len(chosen) - passed,
                     "wilson_low_ppm": low, "wilson_high_ppm": high})
    return rows


def claims(suites: Sequence[JsonObject], cases: Sequence[JsonObject], quality_scope: str) -> JsonObject:
    """Which claims these cases support.

    runtime_smoke: there is a smoke case, and no smoke or safety case failed. assistant_quality: besides, the quality
    scope says something, there is a task case, and no case at all failed.
    """
    by_role = _by_role(suites, cases)
    failed = {role for role, chosen in by_role.items() if any(case["outcome"] != "passed" for case in chosen)}
    runs = "smoke" in by_role and not failed & {"smoke", "safety"}
    quality = not is_placeholder(quality_scope) and "task" in by_role and not failed
    return {"runtime_smoke": runs, "assistant_quality": runs and quality}


def is_placeholder(scope: str) -> bool:
    """Whether a scope says nothing."""
    plain = scope.strip().lower()
    return plain in _PLACEHOLDERS or plain.startswith("placeholder")


def _by_role(suites: Sequence[JsonObject], cases: Sequence[JsonObject]) -> dict[str, list[JsonObject]]:
    role_of = {suite["name"]: suite["role"] for suite in suites}
    chosen = {role: [case for case in cases if role_of.get(str(case["suite"])) == role] for role in ROLES}
    return {role: found for role, found in chosen.items() if found}


def microbits_per_byte(documents: Sequence[JsonObject]) -> int:
    """The documents' bits over their bytes, in millionths, rounded to the nearest."""
    bits = sum(number(document["microbits"]) for document in documents)
    size = sum(number(document["bytes"]) for document in documents)
    return (2 * bits + size) // (2 * size)


def paired(candidate_only: int, parent_only: int, both: int, neither: int) -> JsonObject:
    """Counts over the same items, with their exact McNemar probability."""
    return {"both": both, "only_candidate": candidate_only, "only_parent": parent_only, "neither": neither,
            "p_ppm": mcnemar_ppm(candidate_only, parent_only)}


def paired_cases(mine: Sequence[JsonValue], other: Sequence[JsonValue]) -> JsonObject:
    """Outcomes of candidate and parent, case by case."""
    pairs = [(one == "passed", two == "passed") for one, two in zip(mine, other, strict=True)]
    return paired(*(pairs.count(pair) for pair in ((True, False), (False, True), (True, True), (False, False))))


def paired_documents(mine: Sequence[int], other: Sequence[int]) -> JsonObject:
    """Documents that take fewer bits from one of the two; those that take as many count as `both`."""
    pairs = list(zip(mine, other, strict=True))
    return paired(sum(a < b for a, b in pairs), sum(a > b for a, b in pairs), sum(a == b for a, b in pairs), 0)


def verdict(pairs: Sequence[JsonObject]) -> str:
    """`better` or `worse` where at least one kind of item shows it and none shows the contrary; else `not shown`."""
    signs = {_sign(number(pair["only_candidate"]), number(pair["only_parent"])) for pair in pairs} - {0}
    return {frozenset({1}): "better", frozenset({-1}): "worse"}.get(frozenset(signs), "not shown")


def _sign(mine: int, other: int) -> int:
    return (1 if mine > other else -1) if mine != other and is_shown(mine, other) else 0


def best_parent(parents: Sequence[JsonObject]) -> str:
    """Of the parents' figures, the digest of the one with most cases passed, then fewest bits, then smallest digest."""
    return str(min(parents, key=lambda p: (-number(p["passed"]), p["microbits"], p["sha256"]))["sha256"])


def check_evaluation(body: JsonObject) -> None:
    """Every rule that relates one part of an evaluation to another. Raises ProvenanceError (EvaluationRejected)."""
    suites, cases = [fields(s) for s in items(body["suites"])], [fields(c) for c in items(body["cases"])]
    _check_rows(suites, cases)
    _same("eval_case_evidence_checksum", body["eval_case_evidence_checksum"], case_checksum(body["cases"]))
    _same("tallies", body["tallies"], tallies(suites, cases))
    _same("claims", body["claims"], claims(suites, cases, str(body["quality_scope"])))
    texts = [fields(text) for text in items(body["texts"])]
    for text in texts:
        _same(f"microbits_per_byte of {text['name']}", text["microbits_per_byte"],
              microbits_per_byte([fields(document) for document in items(text["documents"])]))
    if "comparison" in body:
        _check_comparison(fields(body["comparison"]), cases, texts)


def _check_rows(suites: Sequence[JsonObject], cases: Sequence[JsonObject]) -> None:
    names = [str(suite["name"]) for suite in suites]
    _same("order of the suites", names, sorted(set(names)))
    keys = [[str(case["suite"]), str(case["id"])] for case in cases]
    _same("order of the cases", keys, sorted({(suite, case): [suite, case] for suite, case in keys}.values()))
    _same("suites that cases name", sorted({suite for suite, _ in keys}), names)
    for case in cases:
        ended = "passed" if case["expected_sha256"] == case["actual_sha256"] else "failed"
        _same(f"outcome of case {case['suite']}/{case['id']}", case["outcome"], ended)


def _check_comparison(comparison: JsonObject, cases: Sequence[JsonObject], texts: Sequence[JsonObject]) -> None:
    parents = [fields(parent) for parent in items(comparison["parents"])]
    digests = [str(parent["sha256"]) for parent in parents]
    _same("order of the compared parents", digests, sorted(set(digests)))
    _same("best parent", comparison["best"], best_parent(parents))
    best = parents[digests.index(str(comparison["best"]))]
    outcomes, rows = items(comparison["outcomes"]), [integers(row) for row in items(comparison["microbits"])]
    mine = [[number(fields(d)["microbits"]) for d in items(text["documents"])] for text in texts]
    _same("number of compared cases", len(outcomes), len(cases))
    _same("number of compared documents", [len(row) for row in rows], [len(row) for row in mine])
    _same("cases that the best parent passed", best["passed"], outcomes.count("passed"))
    _same("bits of the best parent", best["microbits"], sum(map(sum, rows)))
    by_case = paired_cases([case["outcome"] for case in cases], outcomes)
    by_document = paired_documents([*chain.from_iterable(mine)], [*chain.from_iterable(rows)])
    _same("paired cases", comparison["cases"], by_case)
    _same("paired documents", comparison["documents"], by_document)
    _same("verdict", comparison["verdict"], verdict([by_case, by_document]))


def integers(value: JsonValue) -> list[int]:
    """A list of integers, as a schema has found it."""
    return [number(item) for item in items(value)]


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise ProvenanceError(
            ProvenanceCode.EVALUATION_REJECTED, f"the {what}: found {found!r:.120}, expected {expected!r:.120}, which "
            "the rows give; evaluate again with `tinypylm eval`", {"what": what})
