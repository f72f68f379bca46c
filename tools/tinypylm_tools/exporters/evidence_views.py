"""Views of a model's records for other people's tools: SLSA provenance v1, in-toto statement v1, CycloneDX 1.7.

The records are the evidence; a view can be made again from them at any time, and holds neither clock nor path.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance.records import RecordKind, identifier
from tinypylm.provenance.registry import EVIDENCE
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import COMPONENT_KINDS, Folder
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.slm_writer import write_atomically

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
SLSA_PREDICATE = "https://slsa.dev/provenance/v1"
RECORDS_PREDICATE = "urn:tinypylm:records:v1"
BUILD_TYPE = "urn:tinypylm:breed:v1"
BUILDER = "urn:tinypylm:tools"

Records = Mapping[str, JsonObject]
"""Bodies by component: manifest, compatibility, lineage, receipt, and those of the others that there are."""


def export_view(kind: str, file: ModelFile, path: Path) -> None:
    """Writes the view `kind` of the model in `file`, whose records lie in `evidence/` beside it. Raises SlmError."""
    view = VIEWS[kind](read_records(file))
    write_atomically(path, json.dumps(view, indent=2, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def read_records(file: ModelFile) -> Records:
    """The records of the model in `file`. Raises ToolError where the first are missing or are another model's."""
    folder, name = Folder(file.path.parent), file.path.stem
    needed = ("manifest", "compatibility", "lineage", "receipt")
    records = {component: folder.load(component, name)
               for component in ("manifest", *EVIDENCE) if component in needed or folder.has(component, name)}
    if records["manifest"]["sha256"] != file.sha256:
        raise ToolError(
            ErrorCode.DIGEST_MISMATCH, f"the records of {name} are about {records['manifest']['sha256']}, and "
            f"{file.path} has the SHA-256 {file.sha256}; `tinypylm verify` says where they part",
            {"file": str(file.path), "found": file.sha256})
    return records


def slsa(records: Records) -> JsonObject:
    """How the model was built: operator and parameters as external parameters, parents as resolved dependencies."""
    receipt = records["receipt"]
    dependencies: list[JsonValue] = [
        {"name": fields(parent)["role"], "digest": {"sha256": fields(parent)["sha256"]}}
        for parent in items(receipt["parents"])]
    definition: JsonObject = {
        "buildType": BUILD_TYPE,
        "externalParameters": {key: receipt[key] for key in ("operator", "operator_version", "parameters")},
        "internalParameters": {"lineage": receipt["lineage"], "tokenizer_checksum": receipt["tokenizer_checksum"]},
        "resolvedDependencies": [*dependencies, *_sources(receipt)]}
    return _statement(records, SLSA_PREDICATE, {
        "buildDefinition": definition,
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"tinypylm": receipt["tool_version"]}},
            "metadata": {"invocationId": identifier(RecordKind.RECEIPT, receipt)}}})


def in_toto(records: Records) -> JsonObject:
    """The records themselves, each with its identifier, as one predicate."""
    return _statement(records, RECORDS_PREDICATE, {
        component: {"identifier": identifier(COMPONENT_KINDS[component], body), "record": body}
        for component, body in records.items()})


def cyclonedx(records: Records) -> JsonObject:
    """A bill of materials whose one component is the model, with its parents as ancestors."""
    receipt, manifest = records["receipt"], records["manifest"]
    contract = fields(manifest["contract"])
    component: JsonObject = {
        **_component(str(manifest["label"]), str(manifest["sha256"])),
        "bom-ref": str(manifest["sha256"]),
        "licenses": [{"license": {"name": manifest["licence"]}}],
        "modelCard": {
            "modelParameters": {"architectureFamily": contract["family"],
                                "modelArchitecture": f"{contract['parameter_count']} parameters, "
                                                     f"{contract['quantization']}"},
            "quantitativeAnalysis": {"performanceMetrics": [*_metrics(records)]}},
        "pedigree": {
            "ancestors": [_component(f"{fields(parent)['role']}", str(fields(parent)["sha256"]))
                          for parent in items(receipt["parents"])],
            "notes": f"{receipt['operator']}, receipt {identifier(RecordKind.RECEIPT, receipt)}"},
        "properties": [{"name": f"tinypylm:{component}", "value": identifier(COMPONENT_KINDS[component], body)}
                       for component, body in records.items()]}
    serial = UUID(bytes=bytes.fromhex(identifier(RecordKind.RECEIPT, receipt))[:16], version=4)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{serial}", "version": 1, "metadata": {"component": component}}


VIEWS: dict[str, Callable[[Records], JsonObject]] = {"slsa": slsa, "in-toto": in_toto, "cyclonedx": cyclonedx}


def _statement(records: Records, predicate_type: str, predicate: JsonObject) -> JsonObject:
    manifest = records["manifest"]
    return {
        "_type": STATEMENT_TYPE, "predicateType": predicate_type, "predicate": predicate,
        "subject": [{"name": manifest["file"], "digest": {"sha256": manifest["sha256"]}}]}


def _sources(receipt: JsonObject) -> list[JsonValue]:
    """The files that an imported model was packed from."""
    sources = fields(receipt["parameters"]).get("source_sha256", {})
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in fields(sources).items()]


def _component(name: str, digest: str) -> JsonObject:
    return {"type": "machine-learning-model", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _metrics(records: Records) -> list[JsonValue]:
    """Passed cases by role, with their Wilson intervals, and bits per byte of each text."""
    if "evaluation" not in records:
        return []
    evaluation, metrics = records["evaluation"], list[JsonValue]()
    for tally in map(fields, items(evaluation["tallies"])):
        passed, failed = _integer(tally["passed"]), _integer(tally["failed"])
        low, high = (_integer(tally[f"wilson_{end}_ppm"]) / 1e6 for end in ("low", "high"))
        metrics.append({
            "type": f"{tally['role']} cases passed", "value": f"{passed} of {passed + failed}",
            "confidenceInterval": {"lowerBound": f"{low:.6f}", "upperBound": f"{high:.6f}"}})
    for text in map(fields, items(evaluation["texts"])):
        rows = [fields(row) for row in items(text["documents"])]
        bits, size = (sum(_integer(row[key]) for row in rows) for key in ("microbits", "bytes"))
        metrics.append({"type": "bits per byte", "value": f"{bits / 1e6 / size:.6f}", "slice": text["name"]})
    return metrics


def _integer(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value
