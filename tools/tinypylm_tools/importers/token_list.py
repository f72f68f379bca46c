"""The tokens of other programs, spelled their way, as the bytes that they stand for; merges as pairs of ids.

Two spellings are understood: the byte-level alphabet of GPT-2 and its relatives, and SentencePiece's with byte
fallback.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, TokenKind

SPACE_MARK = "\u2581"
_FALLBACK = re.compile("<0x([0-9A-F]{2})>")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a vocabulary spells bytes, and how text is cut; without `byte_of_character` as SentencePiece does."""

    pre_tokenizer: PreTokenizer
    byte_of_character: Mapping[str, int] | None

    def spell(self, text: str) -> bytes | None:
        """The token's bytes, or None where the text is not made of this scheme's characters."""
        if self.byte_of_character is None:
            return utf_8(text.replace(SPACE_MARK, " "))
        spelled = [self.byte_of_character.get(character) for character in text]
        return None if None in spelled else bytes(value for value in spelled if value is not None)


def utf_8(text: str) -> bytes:
    """A token's text as bytes. Raises ToolError for a lone surrogate, which JSON can spell."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"The token {text!r} holds half of a surrogate pair; expected "
                        "text that UTF-8 can hold. Leave it out of the tokenizer.") from None


def byte_characters() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: itself where printable Latin-1, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return {chr(value): value for value in printable} | {chr(256 + i): value for i, value in enumerate(others)}


SENTENCE_PIECE = Scheme(PreTokenizer.SPACE_PREFIX, None)


def byte_level(pre_tokenizer: PreTokenizer) -> Scheme:
    return Scheme(pre_tokenizer, byte_characters())


@dataclass(frozen=True, slots=True)
class TokenList:
    """tokens[id] and kinds[id]; `mergeable` are the ids by bytes of what merges may name.

    Bytes that have no token among those that were listed stand behind them.
    """

    tokens: tuple[bytes, ...]
    kinds: bytes
    mergeable: Mapping[bytes, int]


def token_list(
    ids: Mapping[str, int], specials: Mapping[int, str], scheme: Scheme, size: int, where: str,
    unmade: Mapping[int, str] = MappingProxyType({}),
) -> TokenList:
    """The tokens of a vocabulary; ids without a token are special ones. Raises ToolError.

    `unmade` are ids whose text is no spelling and that no text is encoded to; models may still produce them.
    """
    tokens, kinds = [b""] * size, bytearray([TokenKind.SPECIAL]) * size
    mergeable: dict[bytes, int] = {}
    fallbacks: dict[int, int] = {}
    for text, token in ids.items():
        if token in specials or token in unmade:
            continue
        value = fallback_byte(text) if scheme.byte_of_character is None else None
        if value is not None:
            fallbacks[value], tokens[token] = token, utf_8(text)
            continue
        tokens[token], kinds[token] = _spelled(text, scheme, where), TokenKind.NORMAL
        mergeable[tokens[token]] = token
    for token, text in (*specials.items(), *unmade.items()):
        tokens[token] = utf_8(text)
    for token in unmade:
        if tokens[token] not in mergeable and len(tokens[token]) > 1:
            kinds[token] = TokenKind.NORMAL
    _add_bytes(tokens, kinds, mergeable, fallbacks)
    return TokenList(tuple(tokens), bytes(kinds), mergeable)


def merges_of_pairs(pairs: Iterable[tuple[str, str]], ids: Mapping[str, int], where: str) -> array[int]:
    """left, right, result, ... of pairs in rank order. Raises ToolError where a part or a result is no token."""
    merges = array("I")
    for rank, (left, right) in enumerate(pairs):
        if left not in ids or right not in ids or left + right not in ids:
            raise ToolError(
                ErrorCode.UNSUPPORTED_TOKENIZER, f"Merge {rank} in {where} joins {left!r} and {right!r}; expected "
                "pairs of tokens whose result is a token.", {"feature": "merges"})
        merges.extend((ids[left], ids[right], ids[left + right]))
    return merges


def _spelled(text: str, scheme: Scheme, where: str) -> bytes:
    spelled = scheme.spell(text)
    if spelled is None:
        raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"The token {text!r} in {where} is not spelled in the "
                        "byte-level alphabet. Add it as a special token, or train the tokenizer again.")
    return spelled


def fallback_byte(text: str) -> int | None:
    """65 for `<0x41>`."""
    match = _FALLBACK.fullmatch(text)
    return None if match is None else int(match[1], 16)


def _add_bytes(
    tokens: list[bytes], kinds: bytearray, mergeable: Mapping[bytes, int], fallbacks: Mapping[int, int]
) -> None:
    """Gives each byte its token: one of the vocabulary first, then its fallback `<0xNN>`, at last a new one.

    A fallback that is not needed stays special, since no two tokens may have the same bytes.
    """
    for value in range(256):
        token = mergeable.get(bytes([value]), fallbacks.get(value))
        if token is None:
            token = len(tokens)
            tokens.append(b"")
            kinds.append(TokenKind.BYTE)
        tokens[token], kinds[token] = bytes([value]), TokenKind.BYTE
