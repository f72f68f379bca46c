"""The tokenizer section: tokens and merges as data. `tinypylm.tokenizer` puts them to use."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from tinypylm.format.codes import FormatCode, refusal

MAGIC = b"BPE1"
SECTION_HEADER = struct.Struct("<4sIII")
TOKEN_HEADER = struct.Struct("<HB")
MERGE_BYTES = 12
MERGE_CAP = 262_144
_TOKENS_OF_BYTE_TOKENIZER = 256
_SPECIALS_OF_BYTE_TOKENIZER = (b"<bos>", b"<eos>", b"<pad>")


class PreTokenizer(IntEnum):
    """How text is cut into pieces before merging."""

    NONE = 0
    GPT2 = 1
    GPT2_SINGLE_DIGITS = 2
    SPACE_PREFIX = 3


class TokenKind(IntEnum):
    NORMAL = 0
    BYTE = 1
    SPECIAL = 2


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens[id] and kinds[id] (a `TokenKind`); merges as left, right, result, left, ... in rank order."""

    pre_tokenizer: PreTokenizer
    tokens: tuple[bytes, ...]
    kinds: bytes
    merges: array[int]

    def merge_rules(self) -> Iterator[tuple[int, int, int]]:
        """(left, right, result) in rank order."""
        return zip(self.merges[0::3], self.merges[1::3], self.merges[2::3], strict=True)


def byte_vocabulary(vocab_size: int) -> Vocabulary:
    """The byte tokenizer: ids 0..255 are bytes, then bos, eos, pad; what follows means nothing."""
    specials = [*_SPECIALS_OF_BYTE_TOKENIZER] + [b""] * (vocab_size - 259)
    tokens = [bytes([value]) for value in range(256)] + specials
    kinds = bytes([TokenKind.BYTE]) * 256 + bytes([TokenKind.SPECIAL]) * len(specials)
    return Vocabulary(PreTokenizer.NONE, tuple(tokens), kinds, array("I"))


def parse_vocabulary(section: memoryview, vocab_size: int) -> Vocabulary:
    """The vocabulary in a `BPE1` section. Raises FormatError."""
    pre_tokenizer, token_count, merge_count = _section_header(section, vocab_size)
    tokens, kinds, offset = _tokens(section, token_count)
    _check_tokens(tokens, kinds)
    merges = _merges(section, offset, merge_count)
    vocabulary = Vocabulary(pre_tokenizer, tuple(tokens), bytes(kinds), merges)
    _check_merges(vocabulary)
    return vocabulary


def _section_header(section: memoryview, vocab_size: int) -> tuple[PreTokenizer, int, int]:
    if len(section) < SECTION_HEADER.size:
        raise _truncated("header", len(section), SECTION_HEADER.size)
    magic, kind, token_count, merge_count = SECTION_HEADER.unpack_from(section)
    if magic != MAGIC:
        raise refusal(FormatCode.TOKENIZER_MAGIC, "magic of the tokenizer section", magic, MAGIC)
    if kind not in {int(known) for known in PreTokenizer}:
        raise refusal(FormatCode.UNKNOWN_PRE_TOKENIZER, "pre-tokenizer", kind, "0, 1, 2 or 3")
    if token_count != vocab_size:
        raise refusal(FormatCode.TOKEN_COUNT_MISMATCH, "token_count", token_count, f"vocab_size = {vocab_size}")
    if merge_count > MERGE_CAP:
        raise refusal(FormatCode.TOO_MANY_MERGES, "merge_count", merge_count, f"at most {MERGE_CAP}")
    return PreTokenizer(kind), token_count, merge_count


def _tokens(section: memoryview, count: int) -> tuple[list[bytes], bytearray, int]:
    """Token bytes, their kinds, and the offset behind the last one."""
    tokens: list[bytes] = []
    kinds = bytearray()
    offset, limit = SECTION_HEADER.size, len(section)
    for token in range(count):
        start = offset + TOKEN_HEADER.size
        if start > limit:
            raise _truncated(f"token {token}", limit, start)
        length, kind = TOKEN_HEADER.unpack_from(section, offset)
        offset = start + length
        if offset > limit:
            raise _truncated(f"token {token}", limit, offset)
        tokens.append(bytes(section[start:offset]))
        kinds.append(kind)
    return tokens, kinds, offset


def _check_tokens(tokens: list[bytes], kinds: bytearray) -> None:
    seen: set[bytes] = set()
    for token, (text, kind) in enumerate(zip(tokens, kinds, strict=True)):
        if kind == TokenKind.SPECIAL:
            continue
        if kind > TokenKind.SPECIAL:
            raise refusal(FormatCode.UNKNOWN_TOKEN_KIND, f"kind of token {token}", kind, "0, 1 or 2")
        if not text:
            raise refusal(FormatCode.EMPTY_TOKEN, f"token {token}", "no bytes", "at least one byte")
        if kind == TokenKind.BYTE and len(text) != 1:
            raise refusal(FormatCode.BYTE_TOKEN_LENGTH, f"byte token {token}", f"{len(text)} bytes", "one byte")
        if text in seen:
            raise refusal(FormatCode.DUPLICATE_TOKEN, f"token {token}", text[:32], "bytes that no token before it has")
        seen.add(text)
    for value in range(256):
        if bytes([value]) not in seen:
            raise refusal(FormatCode.MISSING_BYTE_TOKEN, "vocabulary", f"no token for byte 0x{value:02x}",
                          "a token for each of the 256 bytes")


def _merges(section: memoryview, offset: int, count: int) -> array[int]:
    end = offset + count * MERGE_BYTES
    if end > len(section):
        raise _truncated("merges", len(section), end)
    if end < len(section):
        raise refusal(FormatCode.TOKENIZER_TRAILING_BYTES, "tokenizer section", f"{len(section)} bytes", f"{end} bytes")
    merges = array("I")
    merges.frombytes(section[offset:end])
    if sys.byteorder == "big":
        merges.byteswap()
    return merges


def _check_merges(vocabulary: Vocabulary) -> None:
    tokens, count = vocabulary.tokens, len(vocabulary.tokens)
    if vocabulary.merges and max(vocabulary.merges) >= count:
        rank = next(i for i, token in enumerate(vocabulary.merges) if token >= count) // 3
        raise refusal(FormatCode.MERGE_OUT_OF_RANGE, f"merge {rank}", "a token past the vocabulary", f"below {count}")
    special = vocabulary.kinds.translate(bytes(kind == TokenKind.SPECIAL for kind in range(256)))
    seen: set[int] = set()
    for rank, (left, right, result) in enumerate(vocabulary.merge_rules()):
        if special[left] or special[right] or special[result]:
            raise refusal(FormatCode.MERGE_OF_SPECIAL, f"merge {rank}", "a special token", "normal or byte tokens")
        if tokens[left] + tokens[right] != tokens[result]:
            raise refusal(FormatCode.MERGE_MISMATCH, f"result of merge {rank}", tokens[result][:32],
                          (tokens[left] + tokens[right])[:32])
        seen.add(left * count + right)
        if len(seen) == rank:
            raise refusal(FormatCode.DUPLICATE_MERGE, f"merge {rank}", f"the pair {left}, {right} again", "a new pair")


def _truncated(where: str, found: int, expected: int) -> Exception:
    return refusal(FormatCode.TOKENIZER_TRUNCATED, f"{where} of the tokenizer section", f"{found} bytes",
                   f"at least {expected} bytes")
