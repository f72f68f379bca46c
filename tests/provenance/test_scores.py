"""What rows amount to: claims, verdicts, checksums, by rules that a reader can follow by hand."""

from __future__ import annotations

import hashlib

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.canonical import JsonObject
from tinypylm.provenance import scores


def suite(name: str, role: str) -> JsonObject:
    return {"name": name, "role": role, "scope": "x", "sha256": "0" * 64, "bytes": 1}


SUITES = [suite("run", "smoke"), suite("safe", "safety"), suite("try", "task")]


def cases(**outcomes: str) -> list[JsonObject]:
    """One case for each letter of a suite's outcomes: p passed, f failed."""
    return [{"suite": name, "id": str(index), "outcome": "passed" if letter == "p" else "failed"}
            for name, letters in outcomes.items() for index, letter in enumerate(letters)]


@pytest.mark.parametrize(("rows", "scope", "smoke", "quality"), [
    (cases(run="pp"), "none", True, False),
    (cases(run="pp", safe="p", **{"try": "p"}), "none", True, False),
    (cases(run="pp", safe="p", **{"try": "pp"}), "answers about ships", True, True),
    (cases(run="p", **{"try": "p"}), "answers about ships", True, True),
    (cases(run="pp", safe="p", **{"try": "pf"}), "answers about ships", True, False),
    (cases(run="pp", safe="f", **{"try": "pp"}), "answers about ships", False, False),
    (cases(run="pf", safe="p", **{"try": "pp"}), "answers about ships", False, False),
    (cases(run="pp", safe="pp"), "answers about ships", True, False),
    (cases(**{"try": "pppp"}), "answers about ships", False, False),
    (cases(safe="p", **{"try": "p"}), "answers about ships", False, False),
])
def test_a_claim_needs_its_evidence(rows: list[JsonObject], scope: str, smoke: bool, quality: bool) -> None:
    assert scores.claims(SUITES, rows, scope) == {"runtime_smoke": smoke, "assistant_quality": quality}


@pytest.mark.parametrize("scope", ["none", "TODO", " tbd ", "Placeholder", "placeholder for later", "n/a", "?", "-"])
def test_a_placeholder_is_no_scope(scope: str) -> None:
    assert scores.is_placeholder(scope)
    assert not scores.claims(SUITES, cases(run="p", **{"try": "p"}), scope)["assistant_quality"]


def test_tallies_come_by_role_with_their_interval() -> None:
    assert scores.tallies(SUITES, cases(run="pp", **{"try": "pf"})) == [
        {"role": "smoke", "passed": 2, "failed": 0, "wilson_low_ppm": 342_371, "wilson_high_ppm": 1_000_000},
        {"role": "task", "passed": 1, "failed": 1, "wilson_low_ppm": 94_528, "wilson_high_ppm": 905_472}]


def pair(mine: int, other: int) -> JsonObject:
    return scores.paired(mine, other, 10, 10)


@pytest.mark.parametrize(("pairs", "word"), [
    ([pair(7, 0), pair(0, 0)], "better"), ([pair(0, 7), pair(0, 0)], "worse"), ([pair(6, 0), pair(0, 6)], "not shown"),
    ([pair(9, 1), pair(7, 0)], "better"), ([pair(9, 1), pair(0, 7)], "not shown"),
    ([pair(7, 3), pair(3, 3)], "not shown"),
])
def test_a_verdict_is_better_or_worse_only_where_nothing_speaks_against_it(pairs: list[JsonObject], word: str) -> None:
    assert scores.verdict(pairs) == word


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_swapping_model_and_parent_turns_the_verdict_round(outcomes: list[tuple[bool, bool]]) -> None:
    mine, other = (["passed" if pair[side] else "failed" for pair in outcomes] for side in (0, 1))
    one, two = scores.paired_cases(mine, other), scores.paired_cases(other, mine)
    assert (one["only_candidate"], one["both"], one["neither"]) == (two["only_parent"], two["both"], two["neither"])
    turned = {"better": "worse", "worse": "better", "not shown": "not shown"}
    assert scores.verdict([one]) == turned[scores.verdict([two])]
    assert sum(int(str(one[key])) for key in ("both", "only_candidate", "only_parent", "neither")) == len(outcomes)


def test_a_document_counts_for_the_one_that_needs_fewer_bits() -> None:
    assert scores.paired_documents([1, 5, 7, 7], [2, 4, 7, 9]) == {
        "both": 1, "only_candidate": 2, "only_parent": 1, "neither": 0, "p_ppm": 1_000_000}


def test_the_best_parent_has_most_cases_then_fewest_bits_then_the_smaller_digest() -> None:
    parents: list[JsonObject] = [
        {"sha256": "d", "passed": 3, "microbits": 5}, {"sha256": "c", "passed": 4, "microbits": 9},
        {"sha256": "b", "passed": 4, "microbits": 8}, {"sha256": "a", "passed": 4, "microbits": 8}]
    assert [scores.best_parent(parents[:count]) for count in range(1, 5)] == ["d", "c", "b", "a"]


@pytest.mark.parametrize(("bits", "size", "expected"), [
    (0, 1, 0), (1, 2, 1), (1, 3, 0), (2, 3, 1), (7_500_000, 10, 750_000)])
def test_bits_per_byte_are_rounded_to_the_nearest_millionth(bits: int, size: int, expected: int) -> None:
    documents: list[JsonObject] = [{"microbits": bits, "bytes": size}]
    assert scores.microbits_per_byte(documents) == expected


def test_the_checksum_of_the_cases_is_over_a_domain_line_and_their_canonical_text() -> None:
    rows = cases(run="pf")
    digest = hashlib.sha256(b"slm/evaluation-cases/v1\n" + rfc8785.dumps([*rows])).hexdigest()
    assert scores.case_checksum([*rows]) == digest
