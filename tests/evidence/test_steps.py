"""From a file to the selector: what each step refuses, and what a quarantine leaves."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.evidence.workplace import edited, flipped, snapshot
from tinypylm import selector
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, SlmError, ToolError
from tinypylm.format import parse
from tinypylm.provenance import RecordKind, identifier
from tinypylm_tools.evaluation.defaults import default_items
from tinypylm_tools.evaluation.sidecar import Items
from tinypylm_tools.evidence import adapters, steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder, load_record
from tinypylm_tools.evidence.parents import find_parents, replay
from tinypylm_tools.evidence.quarantine import quarantine
from tinypylm_tools.evidence.walk import entries_of, verify, verify_parents
from tinypylm_tools.slm_writer import Payload, seal


def with_metadata(data: bytes, metadata: JsonObject) -> bytes:
    """The same model with other metadata."""
    model = parse(data)
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    return seal(model.config, payloads, None, metadata)


def bred(folder: Folder, name: str, parent: str) -> None:
    """Evidence as if `name`, a file that differs from `parent` in one weight, had been made from it."""
    data = (folder.root / f"{parent}.slm").read_bytes()
    model = parse(data)
    first = model.tensors[0]
    changed = bytearray(data[first.offset : first.offset + first.payload_bytes])
    changed[-1] ^= 1
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    payloads[first.role, first.layer] = Payload(first.dtype, bytes(changed))
    lineage: JsonObject = {"lineage_sha256": {"parent": hashlib.sha256(data).hexdigest()}}
    (folder.root / f"{name}.slm").write_bytes(seal(model.config, payloads, None, lineage))


def test_an_import_says_of_its_origin_what_its_metadata_say(folder: Folder) -> None:
    data = (folder.root / "tiny.slm").read_bytes()
    (folder.root / "named.slm").write_bytes(with_metadata(data, {
        "name": "Named", "licence": "MIT\n" + 300 * "x", "source": "a\ncheckpoint",
        "source_sha256": {"file": "ab" * 32}}))
    steps.candidate(Book(folder), folder.root / "named.slm", "named")
    manifest, receipt = folder.load("manifest", "named"), folder.load("receipt", "named")
    assert (manifest["label"], manifest["licence"]) == ("Named, q4_0", "MIT " + 196 * "x")
    assert receipt["parameters"] == {"source": "a checkpoint", "source_sha256": {"file": "ab" * 32}}
    assert (receipt["operator"], receipt["parents"]) == ("import", [])


def test_a_model_that_names_parents_is_not_taken_for_an_import(folder: Folder) -> None:
    bred(folder, "child", "tiny")
    with pytest.raises(ToolError) as refused:
        steps.candidate(Book(folder), folder.root / "child.slm", "child")
    assert refused.value.code is ErrorCode.NO_EVIDENCE
    assert not (folder.root / "evidence" / "child").exists()


def test_a_model_outside_the_folder_is_refused(folder: Folder, tmp_path: Path) -> None:
    shutil.copy(folder.root / "tiny.slm", tmp_path / "tiny.slm")
    with pytest.raises(ToolError, match="does not lie in"):
        steps.candidate(Book(folder), tmp_path / "tiny.slm", "tiny")


def test_a_model_that_does_not_run_twice_the_same_is_not_promoted(folder: Folder) -> None:
    """A smoke case that fails: it is the reported one, and no verdict helps."""
    smoke = folder.root / "evaluation" / "smoke.toml"
    smoke.write_text(smoke.read_text().replace('task = "repeat"', 'task = "continue"\nexpected = "no such text"'))
    steps.evaluate(Book(folder), "tiny", default_items(folder.root))
    with pytest.raises(ProvenanceError) as refused:
        steps.promote(Book(folder), "tiny")
    assert refused.value.code == "PromotionRejected"
    assert "smoke/greedy" in refused.value.message
    with pytest.raises(ProvenanceError) as refused:
        steps.admit(Book(folder), "tiny")
    assert refused.value.code == "PromotionRejected"


def test_a_set_that_chose_a_candidate_cannot_speak_for_it(folder: Folder) -> None:
    chosen_by = default_items(folder.root).suites[0].sha256
    steps.candidate(Book(folder), folder.root / "tiny.slm", "tiny", choice=steps.Choice(40, (chosen_by,)))
    with pytest.raises(ProvenanceError) as refused:
        steps.evaluate(Book(folder), "tiny", default_items(folder.root))
    assert (refused.value.code, refused.value.detail["set"]) == ("EvaluationRejected", "choices")


def test_an_evaluation_without_cases_supports_nothing(folder: Folder) -> None:
    with pytest.raises(ToolError, match="there is no suite"):
        Items.of([], [])


def test_the_same_evaluation_gives_the_same_bytes(folder: Folder) -> None:
    before = snapshot(folder.root / "evidence" / "tiny")
    steps.evaluate(Book(folder), "tiny", default_items(folder.root))
    assert snapshot(folder.root / "evidence" / "tiny") == before


def test_admitting_again_keeps_one_entry_and_one_more_line(folder: Folder) -> None:
    lines = len(Book(folder).verified().entries)
    steps.admit(Book(folder), "tiny")
    assert [entry["id"] for entry in Book(folder).entries()] == ["other", "stacked", "tiny"]
    assert len(Book(folder).verified().entries) == lines + 1
    assert verify(folder, "tiny")
    assert verify(folder, "stacked")


def test_a_stack_is_found_by_the_digests_of_the_evaluation(folder: Folder) -> None:
    (folder.root / "adapters" / "first.manifest.json").unlink()
    with pytest.raises(ToolError, match="no manifest"):
        steps.admit(Book(folder), "stacked")


def test_a_family_has_one_base(folder: Folder) -> None:
    path = folder.root / "adapters" / "first.manifest.json"
    path.write_bytes(edited(path.read_bytes(), lambda body: body.update(base_sha256="0" * 64)))
    with pytest.raises(ToolError, match="for 2 bases"):
        adapters.write_family(folder, "tiny-family")


def test_one_file_can_have_several_entries(folder: Folder) -> None:
    assert entries_of(folder, "tiny.slm") == ["stacked", "tiny"]
    assert entries_of(Folder(folder.root / "nowhere"), "tiny.slm") == []


@pytest.mark.parametrize(("damaged", "step"), [
    ("evidence/tiny/evaluation.json", "evaluation"), ("evidence/tiny/plan.json", "plan"), ("tiny.slm", "model"),
])
def test_drift_goes_into_quarantine_with_a_record_and_the_entry_is_disabled(
    folder: Folder, damaged: str, step: str
) -> None:
    path = folder.root / damaged
    drifted = flipped(path.read_bytes(), 300)
    path.write_bytes(drifted)
    error = refusal(folder, "tiny")
    assert error.detail["step"] == step
    before = snapshot(folder.root)
    place = quarantine(Book(folder), "tiny", error)
    assert not path.exists()
    assert (place / path.name).read_bytes() == drifted
    record = load_record(place / "quarantine.json", RecordKind.QUARANTINE)
    assert (record["step"], record["code"]) == (step, "ResponseDigest")
    assert record["moved"] == [{"path": damaged, "to": f"quarantine/tiny-1/{path.name}", "bytes": len(drifted),
                                "sha256": hashlib.sha256(drifted).hexdigest()}]
    entry = next(entry for entry in Book(folder).entries() if entry["id"] == "tiny")
    assert (entry["enabled"], entry["quarantine"]) == (False, identifier(RecordKind.QUARANTINE, record))
    assert refusal(folder, "tiny").code == "EntryDisabled"
    assert verify(folder, "other")
    kept = {digest(data) for name, data in before.items() if not name.startswith(("selector", "population"))}
    assert kept <= {digest(data) for data in snapshot(folder.root).values()}


def test_a_record_that_is_whole_but_wrong_is_set_aside_by_its_step(folder: Folder) -> None:
    error = ProvenanceError(selector.ProvenanceCode.PROMOTION_REJECTED, "why", {"step": "promotion"})
    place = quarantine(Book(folder), "tiny", error)
    assert (place / "promotion.json").exists()


def test_a_receipt_that_gives_another_child_is_set_aside(folder: Folder) -> None:
    error = ProvenanceError(selector.ProvenanceCode.REPLAY_REJECTED, "why", {"step": "replay"})
    assert (quarantine(Book(folder), "tiny", error) / "receipt.json").exists()


def test_a_model_comes_back_from_quarantine_by_being_admitted_again(folder: Folder) -> None:
    path = folder.path("evaluation", "tiny")
    path.write_bytes(flipped(path.read_bytes(), 300))
    quarantine(Book(folder), "tiny", refusal(folder, "tiny"))
    steps.admit_import(Book(folder), folder.root / "tiny.slm", default_items(folder.root))
    assert verify(folder, "tiny")


def test_a_damaged_ledger_cannot_be_set_aside(folder: Folder) -> None:
    folder.ledger.write_bytes(folder.ledger.read_bytes()[:-3])
    error = refusal(folder, "tiny")
    before = snapshot(folder.root)
    with pytest.raises(ProvenanceError) as refused:
        quarantine(Book(folder), "tiny", error)
    assert refused.value is error
    assert snapshot(folder.root) == before


def test_a_missing_file_is_named(folder: Folder) -> None:
    folder.path("receipt", "tiny").unlink()
    error = refusal(folder, "tiny")
    assert (error.code, error.detail["step"]) == ("FetchMissing", "receipt")


def test_a_parent_is_found_by_its_digest_wherever_it_lies(folder: Folder, tmp_path: Path) -> None:
    data = (folder.root / "other.slm").read_bytes()
    receipt: JsonObject = {"operator": "x", "parents": [{"sha256": digest(data)}, {"sha256": digest(data)}]}
    assert find_parents(folder, receipt) == [data]
    (tmp_path / "elsewhere").mkdir()
    shutil.move(folder.root / "other.slm", tmp_path / "elsewhere" / "renamed.slm")
    assert find_parents(folder, receipt, [tmp_path / "elsewhere"]) == [data]
    with pytest.raises(ProvenanceError, match="unverifiable: the parent") as refused:
        verify_parents(folder, receipt, [], rebuild=True, on_step=lambda step: None)
    assert (refused.value.code, refused.value.detail["step"]) == ("ParentMissing", "parents")


def test_an_import_has_nothing_to_replay() -> None:
    assert replay({"operator": "import"}, []) is None


def refusal(folder: Folder, name: str) -> ProvenanceError:
    with pytest.raises(SlmError) as raised:
        verify(folder, name)
    assert isinstance(raised.value, ProvenanceError)
    return raised.value


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
