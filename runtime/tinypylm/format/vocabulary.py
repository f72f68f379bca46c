"""The tokenizer section: tokens and merges as data. `tinypylm.tokenizer` puts them to use."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from tinypylm.format.codes import FormatCode, refusal
from tinypylm.format.repeats import first_repeat
from tinypylm.format.token_texts import TokenTexts

MAGIC = b"BPE1"
SECTION_HEADER = struct.Struct("<4sIII")
TOKEN_HEADER = struct.Struct("<HB")
MERGE_BYTES = 12
MERGE_CAP = 262_144
TOKEN_CAP_BYTES = 4_096  # a quarter of a million merges of longer tokens would take seconds to check
_PAIR = struct.Struct("8s")
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


_BYTE, _SPECIAL = int(TokenKind.BYTE), int(TokenKind.SPECIAL)
_KINDS = bytes(TokenKind)
_IS_SPECIAL = bytes(kind == _SPECIAL for kind in range(256))

@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens[id] and kinds[id] (a `TokenKind`); merges as left, right, result, left, ... in rank order."""

    pre_tokenizer: PreTokenizer
    tokens: Sequence[bytes]
    kinds: bytes
    merges: array[int]

    def merge_rules(self) -> Iterator[tuple[int, int, int]]:
        """(left, right, result) in rank order."""
        numbers = iter(self.merges)
        return zip(numbers, numbers, numbers, strict=True)


def byte_vocabulary(vocab_size: int) -> Vocabulary:
    """The byte tokenizer: ids 0..255 are bytes, then bos, eos, pad; what follows means nothing."""
    texts = [*(bytes([value]) for value in range(256)), *_SPECIALS_OF_BYTE_TOKENIZER]
    kinds = bytes([TokenKind.BYTE]) * 256 + bytes([TokenKind.SPECIAL]) * (vocab_size - 256)
    return Vocabulary(PreTokenizer.NONE, TokenTexts.of(texts, vocab_size - len(texts)), kinds, array("I"))


def parse_vocabulary(section: memoryview, vocab_size: int) -> Vocabulary:
    """The vocabulary in a `BPE1` section. Raises FormatError.

    Arrays, and no object for each token or merge: the vocabulary takes less memory than twice the file around it.
    """
    pre_tokenizer, token_count, merge_count = _section_header(section, vocab_size)
    tokens, kinds, end = _tokens(section, token_count)
    _check_tokens(tokens, kinds)
    merges = _merges(section, end, merge_count)
    _check_merges(tokens, kinds, merges)
    return Vocabulary(pre_tokenizer, tokens, kinds, merges)


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


def _tokens(section: memoryview, count: int) -> tuple[TokenTexts, bytes, int]:
    """Token bytes, their kinds, and the offset behind the last one."""
    starts, ends, kinds = array("I"), array("I"), bytearray()
    offset, limit = SECTION_HEADER.size, len(section)
    for token in range(count):
        start = offset + TOKEN_HEADER.size
        if start > limit:
            raise _truncated(f"token {token}", limit, start)
        length, kind = TOKEN_HEADER.unpack_from(section, offset)
        offset = start + length
        if offset > limit:
            raise _truncated(f"token {token}", limit, offset)
        starts.append(start)
        ends.append(offset)
        kinds.append(kind)
    return TokenTexts(bytes(section[:offset]), starts, ends), bytes(kinds), offset


def _check_tokens(tokens: TokenTexts, kinds: bytes) -> None:
    unknown = kinds.translate(None, _KINDS)
    if unknown:
        token = kinds.index(unknown[0])
        raise refusal(FormatCode.UNKNOWN_TOKEN_KIND, f"kind of token {token}", unknown[0], "0, 1 or 2")
    _check_lengths(tokens, kinds)
    twice = first_repeat((token for token, kind in enumerate(kinds) if kind != _SPECIAL), tokens.__getitem__)
    if twice is not None:
        raise refusal(FormatCode.DUPLICATE_TOKEN, f"token {twice}", tokens[twice][:32],
                      "bytes that no token before it has")
    _check_bytes(tokens, kinds)


def _check_bytes(tokens: TokenTexts, kinds: bytes) -> None:
    present = {tokens.data[start] for kind, start, end in zip(kinds, tokens.starts, tokens.ends, strict=True)
               if kind != _SPECIAL and end - start == 1}
    for value in range(256):
        if value not in present:
            raise refusal(FormatCode.MISSING_BYTE_TOKEN, "vocabulary", f"no token for byte 0x{value:02x}",
                          "a token for each of the 256 bytes")


def _check_lengths(tokens: TokenTexts, kinds: bytes) -> None:
    for token, (kind, start, end) in enumerate(zip(kinds, tokens.starts, tokens.ends, strict=True)):
        if start == end and kind != _SPECIAL:
            raise refusal(FormatCode.EMPTY_TOKEN, f"token {token}", "no bytes", "at least one byte")
        if end - start > TOKEN_CAP_BYTES:
            raise refusal(FormatCode.TOKEN_TOO_LONG, f"token {token}", f"{end - start} bytes",
                          f"at most {TOKEN_CAP_BYTES}")
        if kind == _BYTE and end - start != 1:
            raise refusal(FormatCode.BYTE_TOKEN_LENGTH, f"byte token {token}", f"{end - start} bytes", "one byte")


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


def _check_merges(tokens: TokenTexts, kinds: bytes, merges: array[int]) -> None:
    if merges and max(merges) >= len(tokens):
        rank = next(i for i, token in enumerate(merges) if token >= len(tokens)) // 3
        raise refusal(FormatCode.MERGE_OUT_OF_RANGE, f"merge {rank}", "a token past the vocabulary",
                      f"below {len(tokens)}")
    _check_results(tokens, kinds.translate(_IS_SPECIAL), merges)
    again = first_repeat(range(len(merges) // 3), lambda rank: _PAIR.unpack_from(merges, MERGE_BYTES * rank)[0])
    if again is not None:
        left, right = merges[3 * again : 3 * again + 2]
        raise refusal(FormatCode.DUPLICATE_MERGE, f"merge {again}", f"the pair {left}, {right} again", "a new pair")


def _check_results(tokens: TokenTexts, special: bytes, merges: array[int]) -> None:
    """Written out without a call for each token: this loop runs a quarter of a million times."""
    data, starts, ends = tokens.data, tokens.starts, tokens.ends
    numbers = iter(merges)
    for rank, (left, right, result) in enumerate(zip(numbers, numbers, numbers, strict=True)):
        if special[left] or special[right] or special[result]:
            raise refusal(FormatCode.MERGE_OF_SPECIAL, f"merge {rank}", "a special token", "normal or byte tokens")
        joined = data[starts[left] : ends[left]] + data[starts[right] : ends[right]]
        if joined != data[starts[result] : ends[result]]:
            raise refusal(FormatCode.MERGE_MISMATCH, f"result of merge {rank}", tokens[result][:32], joined[:32])


def _truncated(where: str, found: int, expected: int) -> Exception:
    return refusal(FormatCode.TOKENIZER_TRUNCATED, f"{where} of the tokenizer section", f"{found} bytes",
                   f"at least {expected} bytes")
