"""One code for each way in which evidence can fail, and the steps of the walk that can fail.

`docs/registry.md` explains every code; a test compares the two lists.
"""

from __future__ import annotations

from enum import StrEnum


class ProvenanceCode(StrEnum):
    """Which rule a record, or the chain, breaks."""

    # One record by itself
    RECORD_NOT_CANONICAL = "RecordNotCanonical"
    RECORD_KIND = "RecordKind"
    RECORD_VERSION = "RecordVersion"
    RECORD_UNKNOWN_KEY = "RecordUnknownKey"
    RECORD_MISSING_KEY = "RecordMissingKey"
    RECORD_VALUE = "RecordValue"
    # Files of an assembly
    PATH_OUTSIDE_MODELS = "PathOutsideModels"
    PLAN_FETCH_COUNT = "PlanFetchCount"
    PLAN_ORDER = "PlanOrder"
    FETCH_MISSING = "FetchMissing"
    FETCH_UNPLANNED = "FetchUnplanned"
    RESPONSE_LENGTH = "ResponseLength"
    RESPONSE_DIGEST = "ResponseDigest"
    MODEL_OVER_BUDGET = "ModelOverBudget"
    STACK_OVER_BUDGET = "StackOverBudget"
    # The steps of the chain
    REGISTRY_REJECTED = "RegistryRejected"
    ENTRY_UNKNOWN = "EntryUnknown"
    ENTRY_DISABLED = "EntryDisabled"
    MANIFEST_REJECTED = "ManifestRejected"
    COMPATIBILITY_REJECTED = "CompatibilityRejected"
    LINEAGE_REJECTED = "LineageRejected"
    RECEIPT_REJECTED = "ReceiptRejected"
    CANDIDATE_REJECTED = "CandidateRejected"
    EVALUATION_REJECTED = "EvaluationRejected"
    PROMOTION_REJECTED = "PromotionRejected"
    ADMISSION_REJECTED = "AdmissionRejected"
    LEDGER_REJECTED = "LedgerRejected"
    LEDGER_TORN = "LedgerTorn"
    FAMILY_REJECTED = "FamilyRejected"
    ADAPTER_REJECTED = "AdapterRejected"
    # Parents and signatures
    REPLAY_REJECTED = "ReplayRejected"
    PARENT_MISSING = "ParentMissing"
    SIGNATURE_REJECTED = "SignatureRejected"
