"""The records from a model's manifest to its admission: what the file is, where it came from, what was shown of it."""

from __future__ import annotations

from tinypylm.provenance.breeding import CONTRACT
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
    SHA256,
    SIZE,
    Rule,
    choice,
    integer,
    list_of,
    record,
    text,
)

CLAIMS = ("runtime-smoke", "assistant-quality")
VERDICTS = ("better", "not shown", "worse", "no parent")
STACK_MOST = 2

MODEL_FILE = text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}\.slm", "the name of a .slm file, without a folder",
                  ProvenanceCode.PATH_OUTSIDE_MODELS)
LABEL = text(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,120}", "1 to 120 characters on one line")
CLAIM_LIST = list_of(choice(*CLAIMS), 1, len(CLAIMS))
VERDICT = choice(*VERDICTS)


def head(kind: str) -> dict[str, Rule]:
    """The two keys that every record has."""
    return {"kind": choice(kind), "version": integer(1, 1)}


MODEL_MANIFEST = record({
    **head("model-manifest"),
    "name": NAME, "label": LABEL, "licence": LINE,
    "file": MODEL_FILE, "bytes": SIZE, "sha256": SHA256, "tensor_checksum": SHA256,
    "contract": CONTRACT,
})

CANDIDATE = record({
    **head("candidate"),
    "name": NAME, "sha256": SHA256, "bytes": SIZE,
    "compatibility": SHA256, "lineage": SHA256, "receipt": SHA256, "manifest": SHA256,
    "candidates_tried": integer(1),
    "selection_sets": list_of(SHA256, 0, 64),
})
"""`selection_sets` are the digests of every suite and text by which this candidate was chosen among others."""

PROMOTION = record({
    **head("promotion"),
    "name": NAME, "sha256": SHA256,
    "candidate": SHA256, "evaluation": SHA256,
    "claims": CLAIM_LIST, "verdict": VERDICT,
    "case_count": integer(1), "failed_cases": integer(0),
    "eval_case_evidence_checksum": SHA256,
    "candidates_tried": integer(1),
})

STACKED_ADAPTER = record({
    "name": NAME, "manifest": SHA256, "receipt": SHA256, "evaluation": SHA256,
    "sha256": SHA256, "bytes": SIZE, "scale_bits": F32_BITS,
})

ADMISSION = record({
    **head("admission"),
    "name": NAME, "sha256": SHA256, "bytes": SIZE,
    "manifest": SHA256, "candidate": SHA256, "evaluation": SHA256, "promotion": SHA256,
    "claims": CLAIM_LIST, "verdict": VERDICT,
    "adapters": list_of(STACKED_ADAPTER, 0, STACK_MOST),
}, {"family": SHA256})
"""`family` is there where the stack is not empty."""

QUARANTINE = record({
    **head("quarantine"),
    "name": NAME, "step": LINE, "code": NAME, "reason": text(r"[^\x00-\x09\x0b-\x1f]{1,2000}", "1 to 2,000 characters"),
    "moved": list_of(record({"path": LINE, "to": LINE, "sha256": SHA256, "bytes": integer(0)}), 0, 64),
})
