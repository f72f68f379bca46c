"""One code for each rule of the `.slm` format, and the one way to refuse a file.

`docs/format.md` explains every code; a test compares the two lists.
"""

from __future__ import annotations

from enum import StrEnum

from tinypylm.errors import FormatError, mismatch


class FormatCode(StrEnum):
    """Which rule a file breaks. The value is the stable name that tools, the page and `verify --json` show."""

    # Header
    TRUNCATED_HEADER = "TruncatedHeader"
    BAD_MAGIC = "BadMagic"
    UNSUPPORTED_VERSION = "UnsupportedVersion"
    BAD_HEADER_SIZE = "BadHeaderSize"
    UNKNOWN_FAMILY = "UnknownFamily"
    UNKNOWN_QUANTIZATION = "UnknownQuantization"
    UNKNOWN_FLAGS = "UnknownFlags"
    FLAG_NOT_FOR_FAMILY = "FlagNotForFamily"
    DIMENSION_ZERO = "DimensionZero"
    DIMENSION_OVER_CAP = "DimensionOverCap"
    HEAD_DIM_ODD = "HeadDimOdd"
    HIDDEN_SIZE_MISMATCH = "HiddenSizeMismatch"
    KV_HEADS_MISMATCH = "KvHeadsMismatch"
    ROTARY_DIM_INVALID = "RotaryDimInvalid"
    ROPE_THETA_INVALID = "RopeThetaInvalid"
    NORM_EPSILON_INVALID = "NormEpsilonInvalid"
    BOS_OUT_OF_RANGE = "BosOutOfRange"
    EOS_OUT_OF_RANGE = "EosOutOfRange"
    BYTE_VOCABULARY_TOO_SMALL = "ByteVocabularyTooSmall"
    BYTE_SPECIALS_MISMATCH = "ByteSpecialsMismatch"
    TENSOR_COUNT_MISMATCH = "TensorCountMismatch"
    TABLE_OFFSET_MISMATCH = "TableOffsetMismatch"
    TOKENIZER_OFFSET_MISMATCH = "TokenizerOffsetMismatch"
    METADATA_OFFSET_MISMATCH = "MetadataOffsetMismatch"
    METADATA_TOO_LARGE = "MetadataTooLarge"
    PAYLOAD_OFFSET_MISMATCH = "PayloadOffsetMismatch"
    FILE_TOO_LARGE = "FileTooLarge"
    EXTENT_OUT_OF_FILE = "ExtentOutOfFile"
    ZERO_CHECKSUM = "ZeroChecksum"
    MEMORY_OVER_BUDGET = "MemoryOverBudget"
    # The whole file
    FILE_SIZE_MISMATCH = "FileSizeMismatch"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    PADDING_NOT_ZERO = "PaddingNotZero"
    TRAILING_BYTES = "TrailingBytes"
    # Tensor table
    UNKNOWN_ROLE = "UnknownRole"
    UNKNOWN_DTYPE = "UnknownDType"
    UNEXPECTED_TENSOR = "UnexpectedTensor"
    TENSOR_ORDER = "TensorOrder"
    RANK_MISMATCH = "RankMismatch"
    SHAPE_MISMATCH = "ShapeMismatch"
    DTYPE_NOT_ALLOWED = "DTypeNotAllowed"
    ELEMENT_COUNT_MISMATCH = "ElementCountMismatch"
    PAYLOAD_SIZE_MISMATCH = "PayloadSizeMismatch"
    MISALIGNED_PAYLOAD = "MisalignedPayload"
    OVERLAPPING_PAYLOAD = "OverlappingPayload"
    PAYLOAD_GAP = "PayloadGap"
    RESERVED_NOT_ZERO = "ReservedNotZero"
    # Payloads
    TENSOR_CHECKSUM_MISMATCH = "TensorChecksumMismatch"
    NON_FINITE_VALUE = "NonFiniteValue"
    NON_FINITE_SCALE = "NonFiniteScale"
    NEGATIVE_SCALE = "NegativeScale"
    # Tokenizer section
    TOKENIZER_TRUNCATED = "TokenizerTruncated"
    TOKENIZER_MAGIC = "TokenizerMagic"
    UNKNOWN_PRE_TOKENIZER = "UnknownPreTokenizer"
    TOKEN_COUNT_MISMATCH = "TokenCountMismatch"
    TOO_MANY_MERGES = "TooManyMerges"
    UNKNOWN_TOKEN_KIND = "UnknownTokenKind"
    EMPTY_TOKEN = "EmptyToken"
    TOKEN_TOO_LONG = "TokenTooLong"
    BYTE_TOKEN_LENGTH = "ByteTokenLength"
    DUPLICATE_TOKEN = "DuplicateToken"
    MISSING_BYTE_TOKEN = "MissingByteToken"
    MERGE_OUT_OF_RANGE = "MergeOutOfRange"
    MERGE_OF_SPECIAL = "MergeOfSpecial"
    MERGE_MISMATCH = "MergeMismatch"
    DUPLICATE_MERGE = "DuplicateMerge"
    TOKENIZER_TRAILING_BYTES = "TokenizerTrailingBytes"
    # Metadata section
    METADATA_NOT_CANONICAL = "MetadataNotCanonical"
    UNKNOWN_METADATA_KEY = "UnknownMetadataKey"
    METADATA_VALUE = "MetadataValue"


TRY_AGAIN = "Download the file again, or pack it again with `tinypylm pack`."


def refusal(code: FormatCode, where: str, found: object, expected: object, advice: str = TRY_AGAIN) -> FormatError:
    """The error to raise, as `errors.mismatch` words it."""
    return mismatch(FormatError, code, where, found, expected, advice)
