"""Real packages: their origin is tried, their effect is evaluated, and a stack of two is a full assembly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.evidence.workplace import edited, other_weights, run, snapshot, write_suites
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import verify
from tinypylm_tools.fixtures import fixtures


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A base, and two packages of its difference to `target.slm`, which lies elsewhere."""
    root = tmp_path / "models"
    (root / "adapters").mkdir(parents=True)
    write_suites(root)
    (root / "base.slm").write_bytes(fixtures()["tiny-test-model.slm"])
    (tmp_path / "target.slm").write_bytes(other_weights())
    for kind, option in (("asp1", ("--keep-ppm", 300_000)), ("alr1", ("--rank", 2))):
        run("adapter", "make", "--base", root / "base.slm", "--child", tmp_path / "target.slm", "--format", kind,
            *option, "--out", root / "adapters" / f"{kind}.{kind}")
    return root


def record(root: Path) -> None:
    target = root.parent / "target.slm"
    run("candidate", root / "adapters" / "asp1.asp1", "--target", target, "--keep-ppm", 300_000)
    run("candidate", root / "adapters" / "alr1.alr1", "--target", target, "--rank", 2)


def test_an_origin_that_gives_other_bytes_is_refused(root: Path) -> None:
    package, target = root / "adapters" / "asp1.asp1", root.parent / "target.slm"
    run("candidate", package, "--target", target, "--keep-ppm", 200_000, fails="[ReplayRejected]")
    run("candidate", package, fails="[UnusableChoice]")
    shutil.move(root / "base.slm", root.parent / "base.slm")
    run("candidate", package, "--target", target, fails="[MissingFile]")
    assert not list(root.glob("adapters/*.json"))


def admit_stack(root: Path) -> None:
    """The base with both packages, as `stacked`."""
    record(root)
    for package in ("asp1.asp1", "alr1.alr1"):
        run("eval", root / "adapters" / package)
    name = ("--name", "stacked")
    run("candidate", root / "base.slm", *name, "--label", "Two at once", "--tried", 7)
    run("eval", root / "base.slm", *name, "--adapter", "asp1.asp1", "--adapter", "alr1.alr1:0.5",
        "--quality-scope", "two letters")
    run("promote", root / "base.slm", *name)
    run("admit", root / "base.slm", *name)


def test_a_stack_of_two_is_evaluated_with_its_scales_and_verified_in_21_fetches(root: Path) -> None:
    admit_stack(root)
    assembly = verify(Folder(root), "stacked")
    assert assembly.planned.plan["planned_fetch_count"] == 21
    assert [(one["format"], one["scale_bits"]) for one in assembly.planned.stack] == [
        ("ASP1", "3f800000"), ("ALR1", "3f000000")]
    assert assembly.records["evaluation"]["adapters"] == [
        {"sha256": one["sha256"], "scale_bits": one["scale_bits"]} for one in assembly.planned.stack]


def test_an_adapter_changes_what_its_evaluation_measures(root: Path) -> None:
    record(root)
    body = json.loads(run("eval", root / "adapters" / "asp1.asp1", "--json"))
    attached = [fields(row)["microbits"] for row in items(body["texts"][0]["documents"])]
    assert [attached] != body["comparison"]["microbits"]
    assert body["comparison"]["best"] == body["sha256"]
    family = json.loads((root / "adapters" / "family" / "base-adapters.json").read_text())
    assert [member["name"] for member in family["adapters"]] == ["alr1", "asp1"]


def test_a_package_that_changed_since_its_manifest_is_not_evaluated(root: Path) -> None:
    record(root)
    shutil.copy(root / "adapters" / "alr1.alr1", root / "adapters" / "asp1.asp1")
    run("eval", root / "adapters" / "asp1.asp1", fails="[DigestMismatch]")


def test_a_scale_that_is_no_number_is_refused(root: Path) -> None:
    record(root)
    run("eval", root / "adapters" / "alr1.alr1")
    run("candidate", root / "base.slm")
    for scale in ("x", "1e60"):
        run("eval", root / "base.slm", "--adapter", f"alr1.alr1:{scale}", fails="[UnusableChoice]")


def from_an_older_engine(path: Path) -> None:
    """An evaluation by other sources than these."""
    path.write_bytes(edited(path.read_bytes(), lambda body: fields(body["runner"]).update(sha256="0" * 64)))


def test_all_evidence_of_a_folder_is_brought_up_to_date_and_what_people_decided_stays(root: Path) -> None:
    admit_stack(root)
    run("admit", root / "base.slm")
    before = snapshot(root)
    for path in root.rglob("*evaluation.json"):
        from_an_older_engine(path)
    run("verify", root / "base.slm", fails="[ResponseDigest]")
    said = run("admit", "--again", root)
    assert [line.partition(": admitted")[0] for line in said.splitlines()] == ["base", "stacked"]
    run("verify", root / "base.slm")
    after = snapshot(root)
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {"population.ledger", "selector.registry"}
    run("admit", root)
    assert snapshot(root).keys() == before.keys()


def test_a_stack_is_kept_where_its_evaluation_is_gone(root: Path) -> None:
    admit_stack(root)
    evaluation = Folder(root).path("evaluation", "stacked")
    evaluation.unlink()
    run("admit", root)
    assert [one["scale_bits"] for one in verify(Folder(root), "stacked").planned.stack] == ["3f800000", "3f000000"]
    assert json.loads(evaluation.read_text())["quality_scope"] == "none"
