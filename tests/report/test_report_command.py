"""`tinypylm report` on small models: hostile names, missing parents, drift, and weights whose distance is known."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.evidence.workplace import breed_half_and_half, other_weights, run
from tests.report.reading import Reader, read
from tinypylm.format import parse
from tinypylm.provenance import scores
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.report import gather
from tinypylm_tools.slm_writer import Payload, seal

HOSTILE = "</td><script>alert(1)</script>\u202e\"'&"


def hostile_model() -> bytes:
    data = other_weights()
    model = parse(data)
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    return seal(model.config, payloads, None, {
        "name": HOSTILE, "description": HOSTILE, "licence": HOSTILE, "source": HOSTILE,
        "training": {"note": HOSTILE, "rate_millionths": 5}})


@pytest.fixture(scope="module")
def bred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`child`, half `one` and half `two`, where two has one matrix of the other sign. Not to be changed."""
    root = tmp_path_factory.mktemp("models")
    breed_half_and_half(root, hostile_model())
    run("admit", root / "child.slm", root / "two.slm")
    return root


@pytest.fixture
def root(bred: Path, tmp_path: Path) -> Path:
    shutil.copytree(bred, tmp_path / "models")
    return tmp_path / "models"


def reported(root: Path, *options: object, fails: str = "") -> Reader:
    run("report", root / "child.slm", "--out", root / "report.html", *options, fails=fails)
    return read((root / "report.html").read_bytes())


def test_changes_are_those_that_the_weights_have(root: Path) -> None:
    reader = reported(root)
    rows = [row for row in reader.rows if row[0] == "wq of layer 0" and len(row) == 5]
    assert [row[1:4] for row in rows] == [["1.000000", "0.000000", "none"]] * 2
    rows = [row for row in reader.rows if row[0] == "wk of layer 0" and len(row) == 5]
    assert [row[1:3] for row in rows] == [["0.000000", "1.000000"]] * 2


def test_the_same_records_give_the_same_bytes_anywhere(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "elsewhere")
    reported(root)
    reported(tmp_path / "elsewhere")
    assert (root / "report.html").read_bytes() == (tmp_path / "elsewhere" / "report.html").read_bytes()
    assert str(tmp_path).encode() not in (root / "report.html").read_bytes()


def test_markup_in_metadata_is_text(root: Path) -> None:
    run("report", root / "two.slm", "--out", root / "report.html")
    reader = read((root / "report.html").read_bytes())
    assert "script" not in reader.elements
    shown = HOSTILE.replace("\u202e", "\N{REPLACEMENT CHARACTER}")
    assert reader.words.count(shown) == 7
    assert reader.cells("rate", 2) == ["0.000005"]


def test_a_child_without_a_parent_is_reported_as_far_as_it_goes(root: Path) -> None:
    shutil.move(root / "two.slm", root / "evaluation" / "elsewhere.slm")
    reader = reported(root, fails="[ParentMissing]")
    assert "The evidence does not hold: ParentMissing at parents." in reader.words
    assert reader.cells("parents", 4) == ["verify-parents", "fails", "ParentMissing"]
    assert "Not compared with two: ParentMissing." in reader.words
    assert "Not compared" not in reported(root, "--parents", root / "evaluation").words


def test_a_record_that_drifted_is_the_step_that_fails(root: Path) -> None:
    promotion = root / "evidence" / "child" / "promotion.json"
    promotion.write_bytes(promotion.read_bytes().replace(b'"candidates_tried":1', b'"candidates_tried":2'))
    reader = reported(root, fails="[ResponseDigest]")
    assert reader.cells("promotion", 4)[1:] == ["fails", "ResponseDigest"]
    assert "is not verified" in reader.words


def test_a_model_without_an_entry_is_refused_by_name(root: Path) -> None:
    for arguments in ((root / "one.slm",), (root / "child.slm", "--name", "two")):
        run("report", *arguments, "--out", root / "report.html", fails="[NoEvidence]")
    assert not (root / "report.html").exists()


def test_counts_that_do_not_fit_the_parents_are_said_and_not_drawn(root: Path) -> None:
    receipt = root / "evidence" / "child" / "receipt.json"
    counts = re.search(rb'"parents":(\[{"kept"[^]]*\])', receipt.read_bytes())
    assert counts
    receipt.write_bytes(receipt.read_bytes().replace(counts[1], counts[1].split(b"},")[0] + b"}]"))
    assert "The receipt's counts do not fit its parents." in reported(root, fails="[ResponseLength]").words


def test_another_evaluation_is_compared_only_over_the_same_documents(root: Path) -> None:
    folder, child = Folder(root), [root / "child.slm"]
    assert [one.name for one in gather(folder, "two", against=child).scored] == ["two", "child"]
    body = folder.load("evaluation", "child")
    text = fields(items(body["texts"])[0])
    del body["comparison"], items(text["documents"])[0]
    text["microbits_per_byte"] = scores.microbits_per_byte([fields(one) for one in items(text["documents"])])
    folder.save("evaluation", "child", body)
    assert [one.name for one in gather(folder, "two", against=child).scored] == ["two"]
