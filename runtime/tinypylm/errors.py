"""Every error that a caller of TinyPyLM can meet.

    SlmError
    +-- FormatError      a model file breaks a rule of the format; the code names the rule
    +-- CanonicalError   a JSON text or value is outside the canonical profile
    +-- BudgetError      a model is sound, but needs more than the budget allows
    +-- KernelError      a kernel was written against the rules of the builder
    +-- EngineError      the compiled model cannot be built, or computed something it must not
    +-- OptionError      a sampling option is unknown or outside its range
    +-- AdapterError     an adapter package breaks a rule, or is not for this model; the code names the rule
    +-- SessionError     the request does not fit the session's state or its context
    +-- ReplayError      a receipt of a generation is for another model, stack of adapters or KV cache
    +-- ProvenanceError  a record, or the chain of evidence behind a model, breaks a rule; the code names it
    +-- ToolError        an offline tool met an input it cannot use

Each carries a `code` (stable, one for each rule), a message that says what was found, what was expected, where, and
what to try, and a `detail` of JSON values for programs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

Detail = dict[str, "str | int | float | bool | None"]


class ErrorCode(StrEnum):
    """Names of rules that can be broken. `FormatError` and `AdapterError` have codes of their own."""

    NOT_CANONICAL = "NotCanonical"
    BUDGET_EXCEEDED = "BudgetExceeded"
    KERNEL_MISUSE = "KernelMisuse"
    HOST_FAILED = "HostFailed"
    HELPER_LOST = "HelperLost"
    NON_FINITE_LOGITS = "NonFiniteLogits"
    UNKNOWN_OPTION = "UnknownOption"
    OPTION_OUT_OF_RANGE = "OptionOutOfRange"
    EMPTY_PROMPT = "EmptyPrompt"
    PROMPT_NOT_UTF8 = "PromptNotUtf8"
    CONTEXT_EXCEEDED = "ContextExceeded"
    NO_CHAT_FORMAT = "NoChatFormat"
    UNUSABLE_MESSAGES = "UnusableMessages"
    MODEL_NOT_LOADED = "ModelNotLoaded"
    NO_CONTEXT = "NoContext"
    OUTPUT_BUFFER_EXCEEDED = "OutputBufferExceeded"
    BUSY = "Busy"
    NOT_GENERATING = "NotGenerating"
    RECEIPT_MODEL_MISMATCH = "ReceiptModelMismatch"
    RECEIPT_ADAPTER_MISMATCH = "ReceiptAdapterMismatch"
    RECEIPT_CACHE_MISMATCH = "ReceiptCacheMismatch"
    MISSING_FILE = "MissingFile"
    UNSUPPORTED_CHECKPOINT = "UnsupportedCheckpoint"
    UNSUPPORTED_TOKENIZER = "UnsupportedTokenizer"
    NON_FINITE_WEIGHTS = "NonFiniteWeights"
    SHAPE_MISMATCH = "ShapeMismatch"
    SCALE_OVERFLOW = "ScaleOverflow"
    UNWRITABLE_FILE = "UnwritableFile"
    UNUSABLE_NAME = "UnusableName"
    UNUSABLE_METADATA = "UnusableMetadata"
    UNUSABLE_CHOICE = "UnusableChoice"
    INCOMPATIBLE_PARENTS = "IncompatibleParents"
    CLONED_CHILD = "ClonedChild"
    UNUSABLE_RECIPE = "UnusableRecipe"
    POPULATION_MISMATCH = "PopulationMismatch"
    UNUSABLE_RUN = "UnusableRun"
    RUN_MISMATCH = "RunMismatch"
    TRAINING_DIVERGED = "TrainingDiverged"
    PACKAGE_MISSING = "PackageMissing"
    TOKEN_OUT_OF_RANGE = "TokenOutOfRange"
    RUNTIME_FAILED = "RuntimeFailed"
    CLIENT_MISSING = "ClientMissing"
    DOWNLOAD_FAILED = "DownloadFailed"
    DIGEST_MISMATCH = "DigestMismatch"
    LOCK_UNREADABLE = "LockUnreadable"
    ADDRESS_UNAVAILABLE = "AddressUnavailable"
    BROWSER_MISSING = "BrowserMissing"
    UNUSABLE_SUITE = "UnusableSuite"
    NO_EVIDENCE = "NoEvidence"


class SlmError(Exception):
    """The root of the tree above."""

    def __init__(self, code: StrEnum, message: str, detail: Detail | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail: Detail = detail or {}


_E = TypeVar("_E", bound=SlmError)


def mismatch(kind: type[_E], code: StrEnum, where: str, found: object, expected: object, advice: str) -> _E:
    """The error to raise: its message says where, what was found, what was expected, and what to try."""
    detail: Detail = {"where": where, "found": _plain(found), "expected": _plain(expected)}
    return kind(code, f"{where}: found {found}, expected {expected}. {advice}", detail)


def _plain(value: object) -> str | int:
    return value if isinstance(value, int) else str(value)


class FormatError(SlmError):
    """A model file breaks a rule of the format. Codes: `tinypylm.format.FormatCode`."""


class CanonicalError(SlmError):
    """A JSON text or value is outside the canonical profile; the message names the rule."""

    def __init__(self, message: str):
        super().__init__(ErrorCode.NOT_CANONICAL, message)


class BudgetError(SlmError):
    """A sound model that needs more than a budget allows."""


class KernelError(SlmError):
    """A kernel was written against the rules of the builder; raised while building, at the offending line."""

    def __init__(self, message: str):
        super().__init__(ErrorCode.KERNEL_MISUSE, message)


class EngineError(SlmError):
    """The compiled model cannot be built, or computed something it must not."""


class OptionError(SlmError):
    """A sampling option is unknown or outside its range."""


class AdapterError(SlmError):
    """An adapter package breaks a rule or does not fit the model. Codes: `tinypylm.adapters.AdapterCode`."""


class SessionError(SlmError):
    """A request does not fit the session's state or its context."""


class ReplayError(SlmError):
    """A receipt of a generation is not for what is loaded."""


class ProvenanceError(SlmError):
    """Evidence breaks a rule. Codes: `tinypylm.provenance.ProvenanceCode`; `detail` names the place or the step."""


class ToolError(SlmError):
    """An offline tool met an input it cannot use."""
