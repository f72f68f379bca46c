"""Each record of the chain as it follows from those before it: the tools write these, and a verifier compares.

So a verdict is never believed: it is computed again from the evidence, and has to be the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.format import Model
from tinypylm.provenance import fingerprint
from tinypylm.provenance.admission import CLAIMS
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.records import VERSION, RecordKind, identifier
from tinypylm.provenance.registry import components, phase_components
from tinypylm.provenance.schema import fields, items, number
from tinypylm.source import HashedFile

Bytes = bytes | memoryview
ONE = "3f800000"
"""The f32 bits of 1, the scale of an adapter that is taken as it is."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file by its path under models/, its size and its SHA-256."""

    path: str
    size_bytes: int
    sha256: str

    def record(self) -> JsonObject:
        return {"path": self.path, "bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Naming:
    """What an admitted model is called."""

    name: str
    label: str
    licence: str
    file: str


def manifest(naming: Naming, model: Model, file: HashedFile) -> JsonObject:
    """What a model file is."""
    return {
        "kind": RecordKind.MODEL_MANIFEST, "version": VERSION,
        "name": naming.name, "label": naming.label, "licence": naming.licence, "file": naming.file,
        "bytes": len(file.data), "sha256": file.sha256,
        "tensor_checksum": file.tensor_checksum or fingerprint.tensor_checksum(model, file.data),
        "contract": fingerprint.contract(model, file.data),
    }


def candidate(
    manifest: JsonObject, breeding: Mapping[RecordKind, JsonObject], tried: int, selection_sets: Iterable[str]
) -> JsonObject:
    """A model that asks to be evaluated, with the three records of how it came to be."""
    return {
        "kind": RecordKind.CANDIDATE, "version": VERSION,
        "name": manifest["name"], "sha256": manifest["sha256"], "bytes": manifest["bytes"],
        **{str(kind): identifier(kind, body) for kind, body in breeding.items()},
        "manifest": identifier(RecordKind.MODEL_MANIFEST, manifest),
        "candidates_tried": tried, "selection_sets": [*sorted(set(selection_sets))],
    }


def promotion(candidate: JsonObject, evaluation: JsonObject) -> JsonObject:
    """What the evaluation supports. Raises ProvenanceError (PromotionRejected) where that is nothing."""
    held = fields(evaluation["claims"])
    claims: list[JsonValue] = [claim for claim in CLAIMS if held[claim.replace("-", "_")]]
    cases = [fields(case) for case in items(evaluation["cases"])]
    failed = sum(case["outcome"] != "passed" for case in cases)
    if not claims:
        names = ", ".join(f"{case['suite']}/{case['id']}" for case in cases if case["outcome"] != "passed")
        raise ProvenanceError(
            ProvenanceCode.PROMOTION_REJECTED, f"the evaluation of {candidate['name']!r} supports no claim: failed are "
            f"{names or 'none, but there is no smoke case'}", {"failed_cases": failed})
    return {
        "kind": RecordKind.PROMOTION, "version": VERSION, "name": candidate["name"], "sha256": candidate["sha256"],
        "candidate": identifier(RecordKind.CANDIDATE, candidate),
        "evaluation": identifier(RecordKind.EVALUATION, evaluation),
        "claims": claims, "verdict": verdict_of(evaluation), "case_count": len(cases), "failed_cases": failed,
        "eval_case_evidence_checksum": evaluation["eval_case_evidence_checksum"],
        "candidates_tried": candidate["candidates_tried"],
    }


def verdict_of(evaluation: JsonObject) -> JsonValue:
    """The comparison's verdict, or `no parent`."""
    return fields(evaluation["comparison"])["verdict"] if "comparison" in evaluation else "no parent"


@dataclass(frozen=True, slots=True)
class Stacked:
    """One adapter of a stack: its three records, and the scale on top of the package's own (f32 bits)."""

    manifest: JsonObject
    receipt: JsonObject
    evaluation: JsonObject
    scale_bits: str

    def attached(self) -> JsonObject:
        """As an evaluation names it."""
        return {"sha256": self.manifest["sha256"], "scale_bits": self.scale_bits}

    def record(self) -> JsonObject:
        return {
            "name": self.manifest["name"],
            "manifest": identifier(RecordKind.ADAPTER_MANIFEST, self.manifest),
            "receipt": identifier(RecordKind.ADAPTER_RECEIPT, self.receipt),
            "evaluation": identifier(RecordKind.ADAPTER_EVALUATION, self.evaluation),
            "sha256": self.manifest["sha256"], "bytes": self.manifest["bytes"], "scale_bits": self.scale_bits,
        }


def admission(promotion: JsonObject, manifest: JsonObject, stack: Sequence[Stacked],
              family: JsonObject | None) -> JsonObject:
    """A promoted model with its stack, as the selector may offer it."""
    body: JsonObject = {
        "kind": RecordKind.ADMISSION, "version": VERSION, "name": manifest["name"], "sha256": manifest["sha256"],
        "bytes": manifest["bytes"], "manifest": identifier(RecordKind.MODEL_MANIFEST, manifest),
        "candidate": promotion["candidate"], "evaluation": promotion["evaluation"],
        "promotion": identifier(RecordKind.PROMOTION, promotion),
        "claims": promotion["claims"], "verdict": promotion["verdict"],
        "adapters": [adapter.record() for adapter in stack],
    }
    if family is not None:
        body["family"] = identifier(RecordKind.ADAPTER_FAMILY, family)
    return body


def entry(manifest: JsonObject, admission: JsonObject, plan: Pin, stack: Sequence[Stacked]) -> JsonObject:
    """The line of the registry for an admitted model."""
    contract = fields(manifest["contract"])
    return {
        "id": manifest["name"], "label": manifest["label"], "family": contract["family"],
        "quantization": contract["quantization"], "file": manifest["file"], "bytes": manifest["bytes"],
        "sha256": manifest["sha256"], "licence": manifest["licence"], "enabled": True,
        "claims": admission["claims"], "verdict": admission["verdict"],
        "manifest": admission["manifest"], "admission": identifier(RecordKind.ADMISSION, admission),
        "plan": plan.record(),
        "adapters": [
            {key: adapter.manifest[key] for key in ("name", "format", "file", "bytes", "sha256")}
            | {"scale_bits": adapter.scale_bits} for adapter in stack],
    }


def plan(name: str, paths: Mapping[str, str], pins: Mapping[str, Pin], stack: int) -> JsonObject:
    """The module plan of a model with `stack` adapters.

    paths: of the registry, the plan itself and the ledger; pins: of every other component.
    """
    fetches: list[JsonValue] = []
    for component in components(stack):
        if component in paths:
            pinned_by = "page" if component == "registry" else "registry"
            fetches.append({"component": component, "path": paths[component], "pinned_by": pinned_by})
        else:
            fetches.append({"component": component, "pinned_by": "plan", **pins[component].record()})
    return {
        "kind": RecordKind.MODULE_PLAN, "version": VERSION, "name": name, "planned_fetch_count": len(fetches),
        "fetches": fetches,
        "phases": [{"phase": phase, "components": [*parts]} for phase, parts in phase_components(stack)],
    }


def stack_bytes(adapters: JsonValue) -> int:
    """The declared total of a stack."""
    return sum(number(fields(adapter)["bytes"]) for adapter in items(adapters))


def difference(found: JsonValue, expected: JsonValue, path: str = "") -> str | None:
    """The first place, by sorted keys, where two values are not the same; None where there is none."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            place = f"{path}.{key}" if path else key
            if key not in found or key not in expected:
                return place
            if inner := difference(found[key], expected[key], place):
                return inner
        return None
    is_same = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    return None if is_same else path or "the whole"
