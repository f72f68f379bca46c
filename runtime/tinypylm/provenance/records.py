"""Records of evidence: a kind, the one text of a body, its identifier, and reading it back under a closed schema."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import CanonicalError, ProvenanceError
from tinypylm.provenance import adapters, admission, breeding, evaluation, registry, replay
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import Rule

VERSION = 1
RECORD_CAP_BYTES = 4_194_304


class RecordKind(StrEnum):
    """What a record is, as its key `kind` says and as its identifier's domain line begins."""

    COMPATIBILITY = "compatibility"
    LINEAGE = "lineage"
    RECEIPT = "receipt"
    CANDIDATE = "candidate"
    EVALUATION = "evaluation"
    PROMOTION = "promotion"
    ADMISSION = "admission"
    MODEL_MANIFEST = "model-manifest"
    MODULE_PLAN = "module-plan"
    ADAPTER_FAMILY = "adapter-family"
    ADAPTER_MANIFEST = "adapter-manifest"
    ADAPTER_RECEIPT = "adapter-receipt"
    ADAPTER_EVALUATION = "adapter-evaluation"
    REGISTRY = "selector-registry"
    QUARANTINE = "quarantine"
    REPLAY_RECEIPT = "replay-receipt"


SCHEMAS: dict[RecordKind, Rule] = {
    RecordKind.COMPATIBILITY: breeding.COMPATIBILITY,
    RecordKind.LINEAGE: breeding.LINEAGE,
    RecordKind.RECEIPT: breeding.RECEIPT,
    RecordKind.CANDIDATE: admission.CANDIDATE,
    RecordKind.EVALUATION: evaluation.EVALUATION,
    RecordKind.PROMOTION: admission.PROMOTION,
    RecordKind.ADMISSION: admission.ADMISSION,
    RecordKind.MODEL_MANIFEST: admission.MODEL_MANIFEST,
    RecordKind.MODULE_PLAN: registry.MODULE_PLAN,
    RecordKind.ADAPTER_FAMILY: adapters.ADAPTER_FAMILY,
    RecordKind.ADAPTER_MANIFEST: adapters.ADAPTER_MANIFEST,
    RecordKind.ADAPTER_RECEIPT: adapters.ADAPTER_RECEIPT,
    RecordKind.ADAPTER_EVALUATION: evaluation.ADAPTER_EVALUATION,
    RecordKind.REGISTRY: registry.REGISTRY,
    RecordKind.QUARANTINE: admission.QUARANTINE,
    RecordKind.REPLAY_RECEIPT: replay.REPLAY_RECEIPT,
}
"""The closed shape of each kind. Every schema asks for `kind` and `version`."""


def identifier(kind: RecordKind, body: JsonObject) -> str:
    """SHA-256, in hex, of `slm/<kind>/v1`, a line feed, and the canonical bytes of `body`."""
    return hashlib.sha256(f"slm/{kind}/v{VERSION}\n".encode() + canonical.dumps(body)).hexdigest()


def dump(kind: RecordKind, body: JsonObject) -> bytes:
    """The file of a record. Raises ProvenanceError where `body` is not one of its kind."""
    check(kind, body)
    return canonical.dumps(body)


def load(data: bytes | memoryview, kind: RecordKind) -> JsonObject:
    """The body in a record's file. Raises ProvenanceError for anything but the canonical text of such a body."""
    if len(data) > RECORD_CAP_BYTES:
        raise ProvenanceError(
            ProvenanceCode.RECORD_NOT_CANONICAL, f"the {kind} record has {len(data):,} bytes; "
            f"expected at most {RECORD_CAP_BYTES:,}", {"kind": str(kind), "bytes": len(data)})
    try:
        body = canonical.loads(bytes(data))
    except CanonicalError as error:
        raise ProvenanceError(
            ProvenanceCode.RECORD_NOT_CANONICAL, f"the {kind} record is not canonical JSON: {error.message}",
            {"kind": str(kind)}) from error
    if not isinstance(body, dict):
        raise ProvenanceError(ProvenanceCode.RECORD_VALUE, f"the {kind} record is not an object", {"kind": str(kind)})
    check(kind, body)
    return body


def check(kind: RecordKind, body: JsonObject) -> None:
    """Nothing, where `body` is a record of this kind. Raises ProvenanceError."""
    if body.get("kind") != kind:
        raise ProvenanceError(
            ProvenanceCode.RECORD_KIND, f"the record's kind is {body.get('kind')!r:.60}, expected {str(kind)!r}",
            {"path": "kind", "expected": str(kind)})
    if body.get("version") != VERSION or isinstance(body.get("version"), bool):
        raise ProvenanceError(
            ProvenanceCode.RECORD_VERSION, f"the {kind} record's version is {body.get('version')!r:.60}, "
            f"expected {VERSION}", {"path": "version", "expected": VERSION})
    try:
        SCHEMAS[kind](body, "")
    except ProvenanceError as error:
        raise ProvenanceError(error.code, f"the {kind} record: {error.message}",
                              {"kind": str(kind), **error.detail}) from error
