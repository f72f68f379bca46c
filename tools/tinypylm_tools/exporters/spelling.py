"""The tokens of a vocabulary as other programs spell them: the way back from `importers.token_list`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary
from tinypylm_tools.importers.token_list import SPACE_MARK, byte_characters, fallback_byte


class Use(Enum):
    """What a token is to the other program."""

    TEXT = 1
    FALLBACK = 2
    SPECIAL = 3
    NOTHING = 4


@dataclass(frozen=True, slots=True)
class Spelled:
    """A token's text there; "" for an id that stands for nothing."""

    text: str
    use: Use


def spelled_tokens(vocabulary: Vocabulary) -> list[Spelled]:
    """Every token by id. Raises ToolError where two would get the same text, or one has none."""
    tokens = list(_sentence_piece(vocabulary) if is_sentence_piece(vocabulary) else _byte_level(vocabulary))
    text, count = Counter(token.text for token in tokens if token.text).most_common(1)[0]
    if count > 1:
        raise unsayable(f"{count} tokens would be spelled {text!r}; expected different ones")
    return tokens


def is_sentence_piece(vocabulary: Vocabulary) -> bool:
    return vocabulary.pre_tokenizer is PreTokenizer.SPACE_PREFIX


def unsayable(what: str) -> ToolError:
    return ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"The model's tokenizer cannot be exported: {what}.")


def _byte_level(vocabulary: Vocabulary) -> Iterator[Spelled]:
    character_of_byte = {value: character for character, value in byte_characters().items()}
    for raw, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True):
        if kind == TokenKind.SPECIAL:
            yield _special(raw)
        else:
            yield Spelled("".join(character_of_byte[value] for value in raw), Use.TEXT)


def _sentence_piece(vocabulary: Vocabulary) -> Iterator[Spelled]:
    """A byte is `<0xNN>`, unless another token is, or a merge names it as the character that it is."""
    merged = set(vocabulary.merges)
    taken = {raw for raw, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind == TokenKind.SPECIAL}
    for token, (raw, kind) in enumerate(zip(vocabulary.tokens, vocabulary.kinds, strict=True)):
        fallback = f"<0x{raw[0]:02X}>" if len(raw) == 1 else ""
        if kind == TokenKind.SPECIAL:
            yield _special(raw)
        elif kind == TokenKind.BYTE and token not in merged and fallback.encode() not in taken:
            yield Spelled(fallback, Use.FALLBACK)
        else:
            yield Spelled(_piece(raw), Use.TEXT)


def _piece(raw: bytes) -> str:
    text = _text(raw)
    if SPACE_MARK in text or fallback_byte(text) is not None:
        raise unsayable(f"the token {text!r} is spelled as something else there")
    return text.replace(" ", SPACE_MARK)


def _special(raw: bytes) -> Spelled:
    text = _text(raw)
    if fallback_byte(text) is not None:
        return Spelled(text, Use.FALLBACK)
    return Spelled(text, Use.SPECIAL if text else Use.NOTHING)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise unsayable(f"the token {raw!r} is not UTF-8") from None
