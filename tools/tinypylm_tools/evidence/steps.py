"""The steps from a model file to the selector, each of which writes its record and a line of the ledger.

    candidate -> evaluate -> promote -> admit
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tinypylm
from tinypylm import selector
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.format import Model
from tinypylm.provenance import chain, derivation, records
from tinypylm.provenance.derivation import Naming, Pin, Stacked
from tinypylm.provenance.records import VERSION, RecordKind, identifier
from tinypylm.provenance.registry import EVIDENCE, path_of
from tinypylm.provenance.schema import fields, items
from tinypylm.source import HashedFile
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evaluation.runner import Runner
from tinypylm_tools.evidence.book import Book, Line
from tinypylm_tools.evidence.folder import Folder, adapter_paths, family_path
from tinypylm_tools.evidence.parents import find_parents
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.model_file import ModelFile, open_model

BREEDING = ("compatibility", "lineage", "receipt")
_LABEL_CHARACTERS, _LINE_CHARACTERS = 100, 200
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True, slots=True)
class Choice:
    """How a candidate came to be chosen: among how many, and by which sets (their SHA-256)."""

    candidates_tried: int = 1
    selection_sets: tuple[str, ...] = ()


def candidate(book: Book, path: Path, name: str, label: str | None = None, choice: Choice | None = None) -> JsonObject:
    """Writes manifest and candidate of the model in `path`, which lies in the folder, as `name`.

    A model without a receipt is written down as an import, with what its own metadata says of its source; one whose
    metadata name parents has to come with the records of its breeding. Raises SlmError.
    """
    folder, file = book.folder, open_model(path)
    _check_place(folder, path, name)
    naming = Naming(name, label or _label(file), _stated(file.model, "licence"), path.name)
    bodies = {"manifest": derivation.manifest(naming, file.model, HashedFile(file.data, file.sha256))}
    bodies |= _bred(folder, name) or _imported(file, bodies["manifest"])
    choice = choice or Choice()
    bred = {RecordKind(component): bodies[component] for component in BREEDING}
    bodies["candidate"] = derivation.candidate(
        bodies["manifest"], bred, choice.candidates_tried, choice.selection_sets)
    _check(bodies, *BREEDING, "candidate")
    for component, body in bodies.items():
        folder.save(component, name, body)
    book.append(Line("candidate", name, identifier(RecordKind.CANDIDATE, bodies["candidate"])))
    return bodies["candidate"]


def _check(bodies: dict[str, JsonObject], *steps: str) -> None:
    """These steps of the chain hold. Raises ProvenanceError."""
    for step in steps:
        if step == "evaluation":
            chain.check_sidecar(bodies, [fields(adapter) for adapter in items(bodies[step]["adapters"])])
        else:
            chain.CHECKS[step](bodies)


def _check_place(folder: Folder, path: Path, name: str) -> None:
    for word in (name, path.stem):
        if not _SAFE_NAME.fullmatch(word):
            raise ToolError(
                ErrorCode.UNUSABLE_NAME, f"{word!r} cannot be an id in the registry; expected up to 60 of "
                "A-Z a-z 0-9 . _ -. Rename the file, or give another --name.", {"name": word})
    if path.resolve().parent != folder.root.resolve():
        raise ToolError(ErrorCode.UNUSABLE_NAME, f"{path} does not lie in {folder.root}, whose registry is to "
                        "offer it.", {"path": str(path)})


def _bred(folder: Folder, name: str) -> dict[str, JsonObject]:
    """The three records of a bred model; nothing where there are none, or those of an import."""
    if not folder.has("receipt", name):
        return {}
    bodies = {component: folder.load(component, name) for component in BREEDING}
    return {} if bodies["receipt"]["operator"] == "import" else bodies


def _label(file: ModelFile) -> str:
    named = " ".join(str(file.model.metadata.get("name") or file.path.stem).split())[:_LABEL_CHARACTERS]
    return f"{named}, {file.model.config.quantization.label}"


def _imported(file: ModelFile, manifest: JsonObject) -> dict[str, JsonObject]:
    """The three records of a model that was not bred."""
    metadata = file.model.metadata
    if metadata.get("lineage_sha256"):
        raise ToolError(
            ErrorCode.NO_EVIDENCE, f"{file.path} names parents in its metadata, so it was bred; its compatibility "
            "report, lineage template and receipt have to lie in its evidence folder, where `tinypylm breed` puts them",
            {"path": str(file.path)})
    report: JsonObject = {
        "kind": RecordKind.COMPATIBILITY, "version": VERSION, "contract": manifest["contract"], "parents": []}
    operation: JsonObject = {
        "operator": "import", "operator_version": 1, "parents": [],
        "parameters": {"source": _stated(file.model, "source"), "source_sha256": metadata.get("source_sha256") or {}}}
    template: JsonObject = {
        "kind": RecordKind.LINEAGE, "version": VERSION, **operation,
        "compatibility": identifier(RecordKind.COMPATIBILITY, report)}
    receipt: JsonObject = {
        "kind": RecordKind.RECEIPT, "version": VERSION, **operation,
        "lineage": identifier(RecordKind.LINEAGE, template),
        "tokenizer_checksum": fields(manifest["contract"])["tokenizer_checksum"],
        "output": {key: manifest[key] for key in ("sha256", "bytes", "tensor_checksum")},
        "tool_version": tinypylm.__version__}
    return {"compatibility": report, "lineage": template, "receipt": receipt}


def _stated(model: Model, key: str) -> str:
    """A text of the metadata, on one line."""
    stated = " ".join(str(model.metadata.get(key) or "").split())
    return stated[:_LINE_CHARACTERS] or "not stated"


def evaluate(
    book: Book, name: str, work: sidecar.Items, stack: Sequence[Stacked] = (), search: Sequence[Path] = (),
    run: sidecar.Run = sidecar.run,
) -> JsonObject:
    """Runs the items on the model `name` and its parents, and writes the sidecar.

    search: further folders in which a parent may lie. Raises ProvenanceError where a parent cannot be found.
    """
    folder = book.folder
    bodies = {component: folder.load(component, name) for component in ("manifest", *BREEDING, "candidate")}
    file = str(bodies["manifest"]["file"])
    data = read_file(folder.root / file)
    chain.check_manifest(bodies, HashedFile(data, folder.pin(file).sha256))
    parents = [run(parent, work) for parent in find_parents(folder, bodies["receipt"], search)]
    if stack and not parents:
        parents = [run(data, work)]
    outcome = sidecar.run(data, work, attached(folder, stack)) if stack else run(data, work)
    cited = {"candidate": identifier(RecordKind.CANDIDATE, bodies["candidate"])}
    body = sidecar.sidecar(
        RecordKind.EVALUATION, cited, [adapter.attached() for adapter in stack], work, outcome, parents)
    records.check(RecordKind.EVALUATION, body)
    _check({**bodies, "evaluation": body}, "evaluation")
    folder.save("evaluation", name, body)
    book.append(Line("evaluation", name, identifier(RecordKind.EVALUATION, body)))
    return body


def attached(folder: Folder, stack: Sequence[Stacked]) -> sidecar.Prepare:
    """Attaches the stack's packages, in order, before anything runs."""
    packages = [(read_file(folder.root / "adapters" / str(adapter.manifest["file"])), adapter.scale_bits)
                for adapter in stack]

    def prepare(runner: Runner) -> None:
        for data, scale_bits in packages:
            runner.attach(data, scale_bits)
    return prepare


def promote(book: Book, name: str) -> JsonObject:
    """Writes what the evaluation supports. Raises ProvenanceError (PromotionRejected) where that is nothing."""
    folder = book.folder
    bodies = {component: folder.load(component, name) for component in ("manifest", *EVIDENCE[:5])}
    _check(bodies, *EVIDENCE[:5])
    body = derivation.promotion(bodies["candidate"], bodies["evaluation"])
    folder.save("promotion", name, body)
    book.append(Line("promotion", name, identifier(RecordKind.PROMOTION, body)))
    return body


def admit(book: Book, name: str) -> JsonObject:
    """Admits a promoted model with the stack that it was evaluated with; the new entry of the registry.

    Admission, line of the ledger, plan and registry are written in this order under the lock. Raises SlmError.
    """
    folder = book.folder
    bodies = {component: folder.load(component, name) for component in ("manifest", *EVIDENCE[:6])}
    stack = [folder.adapter_of(fields(adapter)) for adapter in items(bodies["evaluation"]["adapters"])]
    family = folder.family(stack[0]) if stack else None
    bodies["admission"] = derivation.admission(bodies["promotion"], bodies["manifest"], stack, family)
    _check(bodies, *EVIDENCE)
    if family:
        chain.check_family({**bodies, "family": family})
    selector.check_budgets({"bytes": bodies["manifest"]["bytes"], "adapters": bodies["admission"]["adapters"]})
    with book.locked():
        folder.save("admission", name, bodies["admission"])
        plan = _write_plan(folder, name, bodies["manifest"], stack)
        made = derivation.entry(bodies["manifest"], bodies["admission"], plan, stack)
        line = Line("admission", name, identifier(RecordKind.ADMISSION, bodies["admission"]))
        book.append_locked(line, lambda entries: [*(entry for entry in entries if entry["id"] != name), made])
    return made


def admit_import(book: Book, path: Path, work: sidecar.Items) -> JsonObject:
    """All four steps for a model without parents; its entry of the registry."""
    candidate(book, path, path.stem)
    evaluate(book, path.stem, work)
    promote(book, path.stem)
    return admit(book, path.stem)


STEPS = ("candidate", "evaluation", "promotion")


def missing_steps(folder: Folder, name: str, model: Path) -> tuple[str, ...]:
    """Which steps to a promotion have no record that holds and is of the file `model` as it is."""
    data = read_file(model)
    for step in reversed(STEPS):
        records_of_it = EVIDENCE[: EVIDENCE.index(step) + 1]
        try:
            bodies = {component: folder.load(component, name) for component in ("manifest", *records_of_it)}
            chain.check_manifest(bodies, HashedFile.of(data))
            _check(bodies, *records_of_it)
        except (ToolError, ProvenanceError):
            continue
        return STEPS[STEPS.index(step) + 1 :]
    return STEPS


def _write_plan(folder: Folder, name: str, manifest: JsonObject, stack: Sequence[Stacked]) -> Pin:
    """Writes the plan over the records as they lie there now; its pin."""
    paths = {component: path_of(component, name) for component in ("registry", "plan", "ledger")}
    pins = {component: folder.pin(path_of(component, name)) for component in ("manifest", *EVIDENCE)}
    pins["model"] = folder.pin(str(manifest["file"]))
    if stack:
        pins["family"] = folder.pin(family_path(str(stack[0].manifest["family"])))
    for index, adapter in enumerate(stack):
        for part, path in adapter_paths(str(adapter.manifest["file"])).items():
            pins[f"adapter-{index}-{part}"] = folder.pin(path)
    folder.save("plan", name, derivation.plan(name, paths, pins, len(stack)))
    return folder.pin(paths["plan"])
