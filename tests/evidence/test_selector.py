"""The walk over an assembly: what holds, and everything that an attacker or a broken disk could do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evidence.workplace import Edit, edited, flipped, pin_of, relined, repinned
from tinypylm import selector
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.provenance.ledger import Entry
from tinypylm.provenance.registry import components
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import assembly_files

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def tiny(admitted: Path) -> Files:
    return assembly_files(Folder(admitted), "tiny")


@pytest.fixture(scope="module")
def other(admitted: Path) -> Files:
    return assembly_files(Folder(admitted), "other")


@pytest.fixture(scope="module")
def stacked(admitted: Path) -> Files:
    return assembly_files(Folder(admitted), "stacked")


def refused(files: Files, name: str = "tiny") -> ProvenanceError:
    with pytest.raises(ProvenanceError) as raised:
        selector.verify_assembly(name, files)
    return raised.value


def step_and_code(files: Files, name: str = "tiny") -> tuple[object, str]:
    error = refused(files, name)
    return error.detail["step"], str(error.code)


def test_a_full_assembly_goes_through_its_phases_in_order(stacked: Files) -> None:
    heard: list[selector.Verified] = []
    assembly = selector.verify_assembly("stacked", stacked, heard.append)
    assert tuple(heard) == assembly.steps
    assert [(step.phase, step.step) for step in heard] == [
        ("verify-module-plan", "plan"), ("load-model-bytes", "model"), ("verify-model-manifest", "manifest"),
        *(("verify-assembly-evidence", step) for step in (
            "compatibility", "lineage", "receipt", "candidate", "evaluation", "promotion", "admission", "ledger")),
        ("verify-adapter-family", "family"),
        ("apply-adapter-stack-0", "adapter-0-manifest"), ("apply-adapter-stack-1", "adapter-1-manifest")]
    assert len(stacked) == assembly.planned.plan["planned_fetch_count"] == 21


def test_an_assembly_without_adapters_has_12_fetches_and_says_so(tiny: Files) -> None:
    assembly = selector.verify_assembly("tiny", tiny)
    assert set(tiny) == set(components(0))
    assert assembly.steps[-1].found == "no adapters"


def test_views_serve_as_well_as_bytes(tiny: Files) -> None:
    selector.verify_assembly("tiny", {component: memoryview(data) for component, data in tiny.items()})


STEP_OF = {"plan": "plan", "model": "model", "family": "family", **{
    f"adapter-{index}-{part}": f"adapter-{index}"
    for index in range(2) for part in ("manifest", "receipt", "evaluation", "package")}}


@pytest.mark.parametrize("component", components(2)[1:])
def test_one_flipped_byte_in_an_artefact_is_caught_at_its_step(stacked: Files, component: str) -> None:
    damaged = {**stacked, component: flipped(stacked[component], len(stacked[component]) // 2)}
    error = refused(damaged, "stacked")
    assert error.detail["step"] == STEP_OF.get(component, component)
    if component != "ledger":
        assert (error.code, error.detail["component"]) == ("ResponseDigest", component)


@given(at=st.integers(0, 1 << 20), mask=st.integers(1, 255))
@settings(max_examples=200)
def test_any_flipped_byte_of_the_entry_in_the_registry_is_caught(tiny: Files, at: int, mask: int) -> None:
    def only_tiny(registry: JsonObject) -> None:
        registry["models"] = [entry for entry in items(registry["models"]) if fields(entry)["id"] == "tiny"]
    registry = edited(tiny["registry"], only_tiny)
    refused({**tiny, "registry": flipped(registry, at, mask)})


@pytest.mark.parametrize("component", components(2)[1:])
def test_a_byte_more_or_less_is_caught_by_its_length(stacked: Files, component: str) -> None:
    for data in (stacked[component][:-1], stacked[component] + b"\n"):
        error = refused({**stacked, component: data}, "stacked")
        assert error.code in {"ResponseLength", "LedgerTorn", "LedgerRejected"}


def test_a_missing_and_an_unplanned_file_are_refused(tiny: Files) -> None:
    for component in tiny:
        error = refused({key: data for key, data in tiny.items() if key != component})
        assert (error.code, error.detail["component"]) == ("FetchMissing", component)
    assert step_and_code({**tiny, "adapter-0-package": b""}) == ("files", "FetchUnplanned")


def put(*path: str | int, value: JsonValue) -> Edit:
    """An edit that sets one value deep in a record."""
    def edit(body: JsonObject) -> None:
        place: JsonValue = body
        for key in path[:-1]:
            place = items(place)[key] if isinstance(key, int) else fields(place)[key]
        if isinstance(place, list):
            place[int(path[-1])] = value
        else:
            fields(place)[str(path[-1])] = value
    return edit


OTHER_DIGEST = "5a" * 32


@pytest.mark.parametrize(("component", "edit", "step", "code"), [
    ("manifest", put("tensor_checksum", value=OTHER_DIGEST), "manifest", "ManifestRejected"),
    ("manifest", put("contract", "dimensions", "n_heads", value=8), "manifest", "ManifestRejected"),
    ("manifest", put("label", value="Better than all"), "candidate", "CandidateRejected"),
    ("compatibility", put("contract", "tokenizer_checksum", value=OTHER_DIGEST), "compatibility",
     "CompatibilityRejected"),
    ("lineage", put("compatibility", value=OTHER_DIGEST), "lineage", "LineageRejected"),
    ("lineage", put("parameters", "source", value="somewhere else"), "receipt", "ReceiptRejected"),
    ("receipt", put("lineage", value=OTHER_DIGEST), "receipt", "ReceiptRejected"),
    ("receipt", put("output", "sha256", value=OTHER_DIGEST), "receipt", "ReceiptRejected"),
    ("receipt", put("tokenizer_checksum", value=OTHER_DIGEST), "receipt", "ReceiptRejected"),
    ("receipt", put("tool_version", value="9.9"), "candidate", "CandidateRejected"),
    ("candidate", put("sha256", value=OTHER_DIGEST), "candidate", "CandidateRejected"),
    ("candidate", put("candidates_tried", value=40), "evaluation", "EvaluationRejected"),
    ("evaluation", put("candidate", value=OTHER_DIGEST), "evaluation", "EvaluationRejected"),
    ("evaluation", put("bytes", value=1), "evaluation", "EvaluationRejected"),
    ("evaluation", put("cases", 0, "outcome", value="passed"), "evaluation", "EvaluationRejected"),
    ("evaluation", put("cases", 0, "actual_sha256", value=OTHER_DIGEST), "evaluation", "EvaluationRejected"),
    ("evaluation", put("cases", value=[]), "evaluation", "RecordValue"),
    ("evaluation", put("eval_case_evidence_checksum", value=OTHER_DIGEST), "evaluation", "EvaluationRejected"),
    ("evaluation", put("tallies", 0, "passed", value=7), "evaluation", "EvaluationRejected"),
    ("evaluation", put("texts", 0, "documents", 0, "microbits", value=1), "evaluation", "EvaluationRejected"),
    ("evaluation", put("claims", "assistant_quality", value=True), "evaluation", "EvaluationRejected"),
    ("evaluation", put("runner", "tool_version", value="9.9"), "promotion", "PromotionRejected"),
    ("promotion", put("claims", value=["runtime-smoke", "assistant-quality"]), "promotion", "PromotionRejected"),
    ("promotion", put("failed_cases", value=0), "promotion", "PromotionRejected"),
    ("promotion", put("verdict", value="better"), "promotion", "PromotionRejected"),
    ("admission", put("verdict", value="better"), "admission", "AdmissionRejected"),
    ("admission", put("promotion", value=OTHER_DIGEST), "admission", "AdmissionRejected"),
    ("admission", put("family", value=OTHER_DIGEST), "admission", "AdmissionRejected"),
])
def test_a_changed_record_is_caught_even_where_all_pins_are_mended(
    tiny: Files, component: str, edit: Edit, step: str, code: str
) -> None:
    assert step_and_code(repinned("tiny", {**tiny, component: edited(tiny[component], edit)})) == (step, code)


@pytest.mark.parametrize(("component", "edit", "step", "code"), [
    ("family", put("base", "sha256", value=OTHER_DIGEST), "family", "FamilyRejected"),
    ("family", put("name", value="another"), "family", "FamilyRejected"),
    ("admission", put("adapters", 0, "scale_bits", value="40000000"), "registry", "RegistryRejected"),
    ("evaluation", put("adapters", 0, "scale_bits", value="40000000"), "evaluation", "EvaluationRejected"),
    ("adapter-0-manifest", put("base_sha256", value=OTHER_DIGEST), "adapter-0", "AdapterRejected"),
    ("adapter-0-manifest", put("label", value="another"), "adapter-0", "AdapterRejected"),
    ("adapter-1-receipt", put("output", "bytes", value=1), "adapter-1", "AdapterRejected"),
    ("adapter-1-evaluation", put("cases", 0, "outcome", value="passed"), "adapter-1", "AdapterRejected"),
])
def test_a_changed_record_of_an_adapter_is_caught(
    stacked: Files, component: str, edit: Edit, step: str, code: str
) -> None:
    damaged = repinned("stacked", {**stacked, component: edited(stacked[component], edit)})
    assert step_and_code(damaged, "stacked") == (step, code)


@pytest.mark.parametrize("component", ["manifest", "receipt", "candidate", "evaluation", "promotion", "admission"])
def test_swapped_records_of_two_models_are_caught(tiny: Files, other: Files, component: str) -> None:
    step, _ = step_and_code(repinned("tiny", {**tiny, component: other[component]}))
    assert step == component


def test_swapped_adapters_are_caught(stacked: Files) -> None:
    parts = ("manifest", "receipt", "evaluation", "package")
    swapped = {f"adapter-{1 - i}-{part}": stacked[f"adapter-{i}-{part}"] for i in range(2) for part in parts}
    assert step_and_code(repinned("stacked", {**stacked, **swapped}), "stacked") == ("evaluation", "EvaluationRejected")


def test_an_old_admission_does_not_count_once_there_is_a_newer_one(tiny: Files) -> None:
    newer = relined(tiny["ledger"], lambda lines: [*lines, replace(
        next(line for line in lines if line.kind == "admission" and line.name == "tiny"), body=OTHER_DIGEST)])
    assert step_and_code(repinned("tiny", {**tiny, "ledger": newer})) == ("ledger", "LedgerRejected")


LEDGERS: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "an admission without its evaluation": lambda lines: [line for line in lines if line.kind != "evaluation"],
    "records in another order": lambda lines: [*lines[2::-1], *lines[3:]],
    "no admission": lambda lines: [line for line in lines if line.kind != "admission"],
    "quarantined since": lambda lines: [*lines, replace(lines[0], kind="quarantine")],
}


@pytest.mark.parametrize("change", LEDGERS.values(), ids=LEDGERS.keys())
def test_a_rewritten_ledger_is_caught_even_where_the_registry_pins_it(
    tiny: Files, change: Callable[[list[Entry]], list[Entry]]
) -> None:
    assert step_and_code(repinned("tiny", {**tiny, "ledger": relined(tiny["ledger"], change)})) == (
        "ledger", "LedgerRejected")


@pytest.mark.parametrize(("change", "code"), [
    (lambda data: data[: data[:-1].rfind(b"\n") + 1], "LedgerRejected"),
    (lambda data: data[:-9], "LedgerTorn"),
    (lambda data: b"".join(data.splitlines(keepends=True)[::-1]), "LedgerRejected"),
    (lambda data: relined(data, lambda lines: [replace(lines[0], time="2025-12-31T00:00:00Z"), *lines[1:]]),
     "LedgerRejected"),
    (lambda data: b"", "LedgerRejected"),
], ids=["truncated", "torn", "reordered", "restamped", "emptied"])
def test_a_damaged_ledger_is_caught(tiny: Files, change: Callable[[bytes], bytes], code: str) -> None:
    assert step_and_code({**tiny, "ledger": change(tiny["ledger"])}) == ("ledger", code)


def without_last_fetch(plan: JsonObject) -> None:
    plan["fetches"] = items(plan["fetches"])[:-1]


def with_a_fetch_twice(plan: JsonObject) -> None:
    plan["fetches"] = [*items(plan["fetches"]), items(plan["fetches"])[-1]]


def counted(edit: Edit) -> Edit:
    def both(plan: JsonObject) -> None:
        edit(plan)
        plan["planned_fetch_count"] = len(items(plan["fetches"]))
    return both


def swap_fetches(plan: JsonObject) -> None:
    fetches = items(plan["fetches"])
    fetches[4], fetches[5] = fetches[5], fetches[4]


@pytest.mark.parametrize(("edit", "code"), [
    (put("planned_fetch_count", value=20), "PlanFetchCount"), (put("planned_fetch_count", value=22), "PlanFetchCount"),
    (without_last_fetch, "PlanFetchCount"), (counted(without_last_fetch), "PlanFetchCount"),
    (counted(with_a_fetch_twice), "PlanFetchCount"), (swap_fetches, "PlanOrder"),
    (put("name", value="tiny"), "PlanOrder"), (put("phases", 2, "components", value=[]), "PlanOrder"),
    (put("fetches", 3, "path", value="other.slm"), "PlanOrder"),
    (put("fetches", 2, "path", value="evidence/tiny/manifest.json"), "PlanOrder"),
    (put("fetches", 3, "path", value="../secret.slm"), "PathOutsideModels"),
    (put("fetches", 3, "path", value="/etc/passwd"), "PathOutsideModels"),
    (put("fetches", 3, "path", value="a/.git"), "PathOutsideModels"),
    (put("fetches", 3, "path", value="http://x.example/a.slm"), "PathOutsideModels"),
    (put("fetches", 3, "bytes", value=0), "RecordValue"),
])
def test_a_plan_that_is_not_the_entrys_is_refused(stacked: Files, edit: Edit, code: str) -> None:
    plan = edited(stacked["plan"], edit)
    registry = repinned("stacked", stacked)["registry"]
    mended = {**stacked, "plan": plan, "registry": edited(registry, lambda body: _pin_plan(body, plan))}
    assert step_and_code(mended, "stacked") == ("plan", code)


def _pin_plan(registry: JsonObject, plan: bytes) -> None:
    for entry in map(fields, items(registry["models"])):
        if entry["id"] == "stacked":
            fields(entry["plan"]).update(pin_of(plan))


@pytest.mark.parametrize(("edit", "code"), [
    (put("file", value="../tiny.slm"), "PathOutsideModels"), (put("file", value="a/tiny.slm"), "PathOutsideModels"),
    (put("adapters", 0, "file", value="../x.adp1"), "PathOutsideModels"),
    (put("bytes", value=33_554_433), "ModelOverBudget"),
    (put("adapters", 1, "bytes", value=1_048_576), "StackOverBudget"),
    (put("enabled", value=False), "EntryDisabled"), (put("colour", value="red"), "RecordUnknownKey"),
    (put("id", value="nobody"), "EntryUnknown"), (put("id", value="other"), "EntryUnknown"),
])
def test_an_entry_that_breaks_a_rule_is_refused_before_anything_else(stacked: Files, edit: Edit, code: str) -> None:
    def edit_entry(registry: JsonObject) -> None:
        edit(next(entry for entry in map(fields, items(registry["models"])) if entry["id"] == "stacked"))
    registry = edited(stacked["registry"], edit_entry)
    assert step_and_code({**stacked, "registry": registry}, "stacked") == ("registry", code)


def test_two_entries_with_one_id_are_refused(tiny: Files) -> None:
    registry = edited(tiny["registry"], lambda body: items(body["models"]).append(items(body["models"])[-1]))
    assert step_and_code({**tiny, "registry": registry}) == ("registry", "RegistryRejected")


@pytest.mark.parametrize(("key", "value"), [
    ("label", "Best model"), ("licence", "none"), ("family", "gpt_neox"), ("quantization", "f32"),
    ("verdict", "better"), ("claims", ["assistant-quality"]), ("manifest", OTHER_DIGEST), ("admission", OTHER_DIGEST)])
def test_an_entry_that_says_more_than_its_records_is_refused(tiny: Files, key: str, value: JsonValue) -> None:
    def edit(registry: JsonObject) -> None:
        for entry in map(fields, items(registry["models"])):
            if entry["id"] == "tiny":
                entry[key] = value
    assert step_and_code({**tiny, "registry": edited(tiny["registry"], edit)}) == ("registry", "RegistryRejected")


def test_a_plan_can_be_verified_before_anything_is_fetched(tiny: Files) -> None:
    planned = selector.verify_plan("tiny", tiny["registry"], tiny["plan"])
    assert planned.pins["model"].path == "tiny.slm"
    assert planned.pins["model"].size_bytes == len(tiny["model"])
    assert planned.stack == []
