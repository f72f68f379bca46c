"""One code for each way in which an adapter package is refused, and the one way to refuse it.

`docs/adapters.md` explains every code; a test compares the two lists.
"""

from __future__ import annotations

from enum import StrEnum

from tinypylm.errors import AdapterError, mismatch


class AdapterCode(StrEnum):
    """Which rule a package breaks. The value is the stable name that tools and the page show."""

    # Header
    TRUNCATED = "AdapterTruncated"
    MAGIC = "AdapterMagic"
    VERSION = "AdapterVersion"
    HEADER_SIZE = "AdapterHeaderSize"
    TOO_LARGE = "AdapterTooLarge"
    SIZE_MISMATCH = "AdapterSizeMismatch"
    ZERO_CHECKSUM = "AdapterZeroChecksum"
    CHECKSUM_MISMATCH = "AdapterChecksumMismatch"
    RESERVED_NOT_ZERO = "AdapterReservedNotZero"
    SCALE_INVALID = "AdapterScaleInvalid"
    KEEP_RATE_INVALID = "AdapterKeepRateInvalid"
    NO_ENTRIES = "AdapterNoEntries"
    # Entries
    UNKNOWN_ROLE = "AdapterUnknownRole"
    ENTRY_ORDER = "AdapterEntryOrder"
    SHAPE_INVALID = "AdapterShapeInvalid"
    RANK_INVALID = "AdapterRankInvalid"
    RANK_TOO_LARGE = "AdapterRankTooLarge"
    VALUE_COUNT = "AdapterValueCount"
    KEEP_RATE_EXCEEDED = "AdapterKeepRateExceeded"
    PAYLOAD_TRUNCATED = "AdapterPayloadTruncated"
    TRAILING_BYTES = "AdapterTrailingBytes"
    # Values
    NOT_FINITE = "AdapterNotFinite"
    ZERO_DELTA = "AdapterZeroDelta"
    INDEX_OUT_OF_RANGE = "AdapterIndexOutOfRange"
    INDEX_ORDER = "AdapterIndexOrder"
    # Against the base
    DIMENSION_MISMATCH = "AdapterDimensionMismatch"
    TENSOR_COUNT_MISMATCH = "AdapterTensorCountMismatch"
    LAYOUT_MISMATCH = "AdapterLayoutMismatch"
    TOKENIZER_MISMATCH = "AdapterTokenizerMismatch"
    BASE_MISMATCH = "AdapterBaseMismatch"
    UNKNOWN_TENSOR = "AdapterUnknownTensor"
    SHAPE_MISMATCH = "AdapterShapeMismatch"
    NOT_A_MATRIX = "AdapterNotAMatrix"
    # While it is applied
    STACK_TOO_LARGE = "AdapterStackTooLarge"
    RESULT_OVERFLOW = "AdapterResultOverflow"


_TRY_AGAIN = "Fetch the package again, or make it again with `tinypylm adapter make`."


def refusal(code: AdapterCode, where: str, found: object, expected: object, advice: str = _TRY_AGAIN) -> AdapterError:
    """The error to raise, as `errors.mismatch` words it."""
    return mismatch(AdapterError, code, where, found, expected, advice)
