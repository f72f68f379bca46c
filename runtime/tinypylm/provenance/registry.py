"""The selector registry, and the module plan that each of its entries pins: which files, how large, in which phase."""

from __future__ import annotations

from tinypylm.provenance.admission import CLAIM_LIST, LABEL, MODEL_FILE, STACK_MOST, VERDICT, head
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
    SHA256,
    SIZE,
    boolean,
    choice,
    integer,
    list_of,
    record,
    text,
    variants,
)

SELECTOR_MODEL_BYTE_BUDGET = 33_554_432
ADAPTER_AUTO_APPLY_BYTE_BUDGET = 1_048_576
FETCH_ENVELOPE = 32

REGISTRY_PATH, LEDGER_PATH = "selector.registry", "population.ledger"

PHASES = (
    "load-model-bytes", "verify-model-manifest", "verify-assembly-evidence", "verify-adapter-family",
    "apply-adapter-stack-0", "apply-adapter-stack-1",
)

PATH = text(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,3}",
            "a path under models/, whose parts start with a letter or digit", ProvenanceCode.PATH_OUTSIDE_MODELS)
_PINNED_FILE = record({"path": PATH, "bytes": SIZE, "sha256": SHA256})

ADAPTER_FILE = text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}\.(?:adp1|asp1|alr1)", "the name of an adapter package",
                    ProvenanceCode.PATH_OUTSIDE_MODELS)
FORMAT = choice("ADP1", "ASP1", "ALR1")

ENTRY = record({
    "id": NAME, "label": LABEL, "family": choice("llama", "gpt_neox"), "quantization": choice("f32", "q8_0", "q4_0"),
    "file": MODEL_FILE, "bytes": SIZE, "sha256": SHA256, "licence": LINE,
    "enabled": boolean, "claims": CLAIM_LIST, "verdict": VERDICT,
    "manifest": SHA256, "admission": SHA256, "plan": _PINNED_FILE,
    "adapters": list_of(record({
        "name": NAME, "format": FORMAT, "file": ADAPTER_FILE, "bytes": SIZE, "sha256": SHA256, "scale_bits": F32_BITS,
    }), 0, STACK_MOST),
}, {"quarantine": SHA256})

REGISTRY = record({
    **head("selector-registry"),
    "models": list_of(ENTRY, 0, 256),
    "ledger": record({"path": choice(LEDGER_PATH), "bytes": SIZE, "entries": SIZE, "head": SHA256}),
})

FETCH = variants("pinned_by", {
    "page": record({"component": choice("registry"), "path": PATH, "pinned_by": choice("page")}),
    "registry": record({"component": choice("plan", "ledger"), "path": PATH, "pinned_by": choice("registry")}),
    "plan": record({"component": NAME, "path": PATH, "pinned_by": choice("plan"), "bytes": SIZE, "sha256": SHA256}),
})

MODULE_PLAN = record({
    **head("module-plan"),
    "name": NAME,
    "planned_fetch_count": integer(1, FETCH_ENVELOPE),
    "fetches": list_of(FETCH, 1, FETCH_ENVELOPE),
    "phases": list_of(record({"phase": choice(*PHASES), "components": list_of(NAME, 0, FETCH_ENVELOPE)}), 4,
                      len(PHASES)),
})

EVIDENCE = ("compatibility", "lineage", "receipt", "candidate", "evaluation", "promotion", "admission")
"""Components of the third phase that are records, in the order of the chain."""

ADAPTER_PARTS = ("manifest", "receipt", "evaluation", "package")


def components(stack: int) -> tuple[str, ...]:
    """Every planned fetch of an assembly with `stack` adapters, in order: 12, 17 or 21."""
    base = ("registry", "plan", "manifest", "model", *EVIDENCE, "ledger")
    family = ("family",) if stack else ()
    return base + family + tuple(f"adapter-{i}-{part}" for i in range(stack) for part in ADAPTER_PARTS)


def phase_components(stack: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What each phase verifies; every component but registry and plan, which come before, is in one phase."""
    return (
        (PHASES[0], ("model",)),
        (PHASES[1], ("manifest",)),
        (PHASES[2], (*EVIDENCE, "ledger")),
        (PHASES[3], ("family",) if stack else ()),
        *((PHASES[4 + i], tuple(f"adapter-{i}-{part}" for part in ADAPTER_PARTS)) for i in range(stack)),
    )


def path_of(component: str, name: str) -> str:
    """Where a component that is the registry, the ledger or one of the records of the model `name` lies."""
    return {"registry": REGISTRY_PATH, "ledger": LEDGER_PATH}.get(component, f"evidence/{name}/{component}.json")
