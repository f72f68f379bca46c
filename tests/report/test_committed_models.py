"""Every entry of the tree's own registry as a page, against the bytes of its records."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.report.reading import Reader, read
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.report import gather, page

MODELS = Folder(Path(__file__).parents[2] / "models")
NAMES = [str(entry["id"]) for entry in Book(MODELS).entries()]


@cache
def shown(name: str) -> Reader:
    return read(page(gather(MODELS, name)))


def record(name: str, component: str) -> Any:
    return json.loads((MODELS.root / "evidence" / name / f"{component}.json").read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_a_page_that_fetches_nothing_and_runs_nothing(name: str) -> None:
    reader = shown(name)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image", "use"} & set(
        reader.elements)
    assert not {"src", "href", "xlink:href", "action", "srcset", "data"} & {key for key, _ in reader.attributes}
    assert not [key for key, _ in reader.attributes if key.startswith("on")]
    assert "url(" not in reader.words
    assert "@import" not in reader.words
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
            ) in reader.attributes


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_are_those_of_the_records(name: str) -> None:
    reader, evaluation, promotion = shown(name), record(name, "evaluation"), record(name, "promotion")
    assert "The evidence holds" in reader.words
    total = evaluation["texts"][0]["microbits_per_byte"]
    passed = sum(tally["passed"] for tally in evaluation["tallies"])
    assert reader.cells(name, 4) == [f"{total / 1e6:.6f}", f"{passed} of {len(evaluation['cases'])}",
                                     evaluation["sha256"]]
    for tally, suite in ((tally, suite) for tally in evaluation["tallies"] for suite in evaluation["suites"]
                         if suite["role"] == tally["role"]):
        low, high = tally["wilson_low_ppm"] / 1e6, tally["wilson_high_ppm"] / 1e6
        assert reader.cells(suite["name"], 5)[:3] == [
            suite["role"], f"{tally['passed']} of {tally['passed'] + tally['failed']}", f"{low:.1%} to {high:.1%}"]
    assert reader.cells("verdict", 2) == [promotion["verdict"]]
    assert reader.cells("claims", 2) == [", ".join(promotion["claims"])]
    assert reader.cells("evaluation", 4)[-1] == promotion["evaluation"]
    assert reader.cells("candidate", 4)[-1] == promotion["candidate"]


@pytest.mark.parametrize("name", ["dare-2m-q8_0", "mixed-2m-q8_0", "storyteller-2m-fairytales"])
def test_a_comparison_shows_verdict_and_counts(name: str) -> None:
    reader, comparison = shown(name), record(name, "evaluation")["comparison"]
    for what in ("cases", "documents"):
        counts = comparison[what]
        assert reader.cells(what, 6) == [
            *(str(counts[key]) for key in ("both", "only_candidate", "only_parent", "neither")),
            f"{counts['p_ppm'] / 1e6:.6f}"]
    other = "model without adapters" if record(name, "evaluation")["adapters"] else "best of the parents"
    assert f", the {other}: {comparison['verdict']}." in reader.words
    size = sum(document["bytes"] for document in record(name, "evaluation")["texts"][0]["documents"])
    by_digest = {row[3]: row[1:3] for row in reader.rows if len(row) == 4}
    for parent in comparison["parents"]:
        assert parent["sha256"] == record(name, "evaluation")["sha256"] or by_digest[parent["sha256"]] == [
            f"{parent['microbits'] / size / 1e6:.6f}", f"{parent['passed']} of 36"]


def test_every_document_has_the_bits_of_the_model_and_of_all_of_its_parents() -> None:
    reader = shown("mixed-2m-q8_0")
    models = ("mixed-2m-q8_0", "storyteller-2m-q8_0", "dialogue-2m-q8_0", "fairytales-2m-q8_0", "happy-2m-q8_0")
    third = [record(name, "evaluation")["texts"][0]["documents"][2] for name in models]
    assert reader.cells("document", 7) == ["bytes", *models]
    assert reader.cells("little-stories 3", 7) == [
        str(third[0]["bytes"]), *(f"{one['microbits'] / one['bytes'] / 1e6:.4f}" for one in third)]


@pytest.mark.parametrize("name", ["dare-2m-q8_0", "mixed-2m-q8_0", "talkative-2m-q8_0"])
def test_kept_counts_are_those_of_the_receipt(name: str) -> None:
    reader, receipt = shown(name), record(name, "receipt")
    parents = len(receipt["parents"]) - 1
    head = next(row for row in reader.rows if row[0] == "tensor" and row[1] == "elements")
    assert len(head) == 2 + parents
    rows = reader.rows[reader.rows.index(head) + 1 :][: len(receipt["tensors"])]
    assert rows == [[row["tensor"], f"{row['elements']:,}", *(f"{one['kept']:,}" for one in row["parents"])]
                    for row in receipt["tensors"]]


def test_an_entry_with_adapters_names_them_and_what_they_change() -> None:
    reader, admission = shown("storyteller-2m-fairytales"), record("storyteller-2m-fairytales", "admission")
    for adapter in admission["adapters"]:
        assert reader.cells(adapter["name"], 5)[1:] == [f"{adapter['bytes']:,}", "1", adapter["sha256"]]
    change = next(row for row in reader.rows if len(row) == 5 and row[0] == "storyteller-2m-q8_0")
    assert 0.05 < float(change[1]) < 1
    assert all(word in reader.words for word in ("fairytales-2m-q8_0", "happy-2m-q8_0", "ALR1, difference", "target"))


def test_the_training_is_shown_as_the_metadata_state_it() -> None:
    reader = shown("dialogue-2m-q8_0")
    assert reader.cells("held out bits per byte", 2) == ["0.732656"]
    assert reader.cells("tokens seen", 2) == ["1,143,817"]
    assert "metadata say nothing of a training" in shown("mixed-2m-q8_0").words


def test_a_model_without_parents_can_be_compared_with_another() -> None:
    facts = gather(MODELS, "happy-2m-q8_0", against=[MODELS.root / "storyteller-2m-q8_0.slm"])
    reader = read(page(facts))
    assert reader.cells("storyteller-2m-q8_0", 4)[0] == "1.470812"
    assert len(reader.cells("wq of layer 3", 5)) == 4
    other = [replace(scored, by_other_code=scored.name == "storyteller-2m-q8_0") for scored in facts.scored]
    said = "storyteller-2m-q8_0 was evaluated by other sources of runtime and runner"
    assert said in read(page(replace(facts, scored=tuple(other)))).words
    runners = {record(name, "evaluation")["runner"]["sha256"] for name in ("happy-2m-q8_0", "storyteller-2m-q8_0")}
    assert (said in reader.words) == (len(runners) == 2)
    assert "The records name no parent, so there is nothing to be better than." in reader.words
