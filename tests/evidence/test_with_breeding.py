"""A bred child on its way to the selector: its parents are compared with, found again, and give it again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.evidence.workplace import breed_half_and_half, edited, other_weights, repinned, run
from tinypylm import selector
from tinypylm.canonical import JsonObject
from tinypylm.errors import ProvenanceError
from tinypylm.provenance import chain
from tinypylm.provenance.records import RecordKind, identifier
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import assembly_files


@pytest.fixture(scope="module")
def bred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`child`, bred from `one` and `two`, admitted. Not to be changed."""
    root = tmp_path_factory.mktemp("models")
    breed_half_and_half(root, other_weights())
    run("admit", root / "child.slm")
    return root


@pytest.fixture
def root(bred: Path, tmp_path: Path) -> Path:
    shutil.copytree(bred, tmp_path / "models")
    return tmp_path / "models"


def test_a_child_comes_out_of_its_parents_again(root: Path) -> None:
    output = run("verify", root / "child.slm", "--replay", "--json")
    assert '"step": "parents", "found": "2 present"' in output
    assert '"step": "replay"' in output


def test_a_child_without_a_parent_is_unverifiable_and_not_ok(root: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    shutil.move(root / "two.slm", tmp_path / "away" / "renamed.slm")
    for options in ((), ("--replay",)):
        run("verify", root / "child.slm", *options, fails="parents: unverifiable: the parent")
    run("verify", root / "child.slm", "--replay", "--parents", tmp_path / "away")
    run("eval", root / "child.slm", fails="[ParentMissing]")


def test_a_child_whose_receipt_is_gone_is_not_taken_for_an_import(root: Path) -> None:
    Folder(root).path("receipt", "child").unlink()
    run("candidate", root / "child.slm", fails="[NoEvidence]")


def refused(root: Path, component: str, body: bytes) -> tuple[object, str]:
    files = repinned("child", {**assembly_files(Folder(root), "child"), component: body})
    with pytest.raises(ProvenanceError) as raised:
        selector.verify_assembly("child", files)
    return raised.value.detail["step"], str(raised.value.code)


def test_a_child_has_to_be_compared_with_all_of_its_parents(root: Path) -> None:
    def alone(body: JsonObject) -> None:
        del body["comparison"]

    def flattered(body: JsonObject) -> None:
        fields(body["comparison"])["verdict"] = "better"

    def against_the_worse(body: JsonObject) -> None:
        comparison = fields(body["comparison"])
        parents = [fields(parent)["sha256"] for parent in items(comparison["parents"])]
        comparison["best"] = next(parent for parent in parents if parent != comparison["best"])

    data = Folder(root).path("evaluation", "child").read_bytes()
    for edit in (alone, flattered, against_the_worse):
        assert refused(root, "evaluation", edited(data, edit)) == ("evaluation", "EvaluationRejected")


@pytest.mark.parametrize(("component", "step", "code"), [
    ("compatibility", "lineage", "LineageRejected"), ("lineage", "lineage", "LineageRejected"),
    ("receipt", "receipt", "ReceiptRejected")])
def test_a_parent_cannot_be_exchanged_in_one_record(root: Path, component: str, step: str, code: str) -> None:
    def exchanged(body: JsonObject) -> None:
        fields(items(body["parents"])[0])["sha256"] = "0" * 64

    data = Folder(root).path(component, "child").read_bytes()
    assert refused(root, component, edited(data, exchanged)) == (step, code)


def test_a_child_with_the_weights_of_a_parent_is_a_clone(root: Path) -> None:
    bodies = {step: Folder(root).load(step, "child") for step in ("manifest", "compatibility", "lineage", "receipt")}
    for step in ("compatibility", "receipt"):
        fields(items(bodies[step]["parents"])[0])["tensor_checksum"] = bodies["manifest"]["tensor_checksum"]
    bodies["lineage"]["compatibility"] = identifier(RecordKind.COMPATIBILITY, bodies["compatibility"])
    bodies["receipt"]["lineage"] = identifier(RecordKind.LINEAGE, bodies["lineage"])
    with pytest.raises(ProvenanceError, match="it is a clone"):
        chain.check_receipt(bodies)
