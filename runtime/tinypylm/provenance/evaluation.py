"""The evaluation sidecar's shape: which cases ran on which bytes, how, and how each ended. Integers only."""

from __future__ import annotations

from tinypylm.provenance.admission import CLAIMS, STACK_MOST, head
from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
    PPM,
    SHA256,
    SIZE,
    U64,
    Rule,
    boolean,
    choice,
    integer,
    list_of,
    record,
)

ROLES = ("smoke", "task", "safety")
MOST_CASES = 4096
_COUNT = integer(0, MOST_CASES)

DECODING = record({
    "temperature_ppm": integer(0, 100_000_000), "top_k": integer(1, 1024), "top_p_ppm": PPM, "min_p_ppm": PPM,
    "repetition_penalty_ppm": integer(0, 100_000_000), "max_tokens": integer(1, 131_072),
})
"""The sampler's options; temperature 0 is greedy."""

SUITE = record({
    "name": NAME, "role": choice(*ROLES), "scope": LINE, "sha256": SHA256, "bytes": SIZE,
})

OUTCOME = choice("passed", "failed")

CASE = record({
    "suite": NAME, "id": NAME, "task": choice("repeat", "choose", "continue", "avoid"),
    "seed": U64, "decoding": DECODING,
    "prompt_sha256": SHA256, "expected_sha256": SHA256, "actual_sha256": SHA256, "outcome": OUTCOME,
})

TALLY = record({"role": choice(*ROLES), "passed": _COUNT, "failed": _COUNT, "wilson_low_ppm": PPM,
                "wilson_high_ppm": PPM})

DOCUMENT = record({"sha256": SHA256, "bytes": SIZE, "tokens": SIZE, "microbits": integer(0)})

TEXT = record({
    "name": NAME, "sha256": SHA256, "bytes": SIZE, "documents": list_of(DOCUMENT, 1, MOST_CASES),
    "microbits_per_byte": integer(0),
})

PAIRED = record({
    "both": _COUNT, "only_candidate": _COUNT, "only_parent": _COUNT, "neither": _COUNT, "p_ppm": PPM,
})
"""Counts over the same items and the two-sided exact McNemar probability, rounded up."""

COMPARED_PARENT = record({"sha256": SHA256, "passed": _COUNT, "microbits": integer(0)})

COMPARISON = record({
    "parents": list_of(COMPARED_PARENT, 1, 64), "best": SHA256,
    "outcomes": list_of(OUTCOME, 1, MOST_CASES), "microbits": list_of(list_of(integer(0), 1, MOST_CASES), 0, 64),
    "cases": PAIRED, "documents": PAIRED, "verdict": choice("better", "not shown", "worse"),
})
"""`outcomes` and `microbits` are the best parent's, in the order of the cases and of the texts' documents."""

_BODY: dict[str, Rule] = {
    "sha256": SHA256, "bytes": SIZE,
    "adapters": list_of(record({"sha256": SHA256, "scale_bits": F32_BITS}), 0, STACK_MOST),
    "runner": record({"name": LINE, "tool_version": NAME, "sha256": SHA256}),
    "quality_scope": LINE,
    "suites": list_of(SUITE, 1, 64),
    "cases": list_of(CASE, 1, MOST_CASES),
    "eval_case_evidence_checksum": SHA256,
    "tallies": list_of(TALLY, 1, len(ROLES)),
    "texts": list_of(TEXT, 0, 64),
    "claims": record({claim.replace("-", "_"): boolean for claim in CLAIMS}),
}
_MAYBE: dict[str, Rule] = {"comparison": COMPARISON}

EVALUATION = record({**head("evaluation"), "candidate": SHA256, **_BODY}, _MAYBE)

ADAPTER_EVALUATION = record({**head("adapter-evaluation"), "manifest": SHA256, **_BODY}, _MAYBE)
"""`sha256` is the base's, `adapters` holds the one package; the comparison's parent is the base without it."""
