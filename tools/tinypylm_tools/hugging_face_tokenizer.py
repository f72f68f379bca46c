"""tokenizer.json of the `tokenizers` package to a vocabulary of the format, token for token, or a refusal by name.

Two kinds are understood: byte-level BPE (GPT-2 and its relatives) and SentencePiece-style BPE with byte fallback.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary
from tinypylm_tools.json_fields import Fields, Json, read_json

_SPACE_MARK = "\u2581"
_FALLBACK = re.compile("<0x([0-9A-F]{2})>")


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a tokenizer.json spells bytes: `spell` turns a token's text into bytes."""

    pre_tokenizer: PreTokenizer
    byte_of_character: Mapping[str, int] | None

    def spell(self, text: str) -> bytes | None:
        """The token's bytes, or None where the text is not made of this scheme's characters."""
        if self.byte_of_character is None:
            return text.replace(_SPACE_MARK, " ").encode()
        spelled = [self.byte_of_character.get(character) for character in text]
        return None if None in spelled else bytes(value for value in spelled if value is not None)


def read_vocabulary(folder: Path, vocab_size: int) -> Vocabulary:
    """The vocabulary of a checkpoint; ids without a token become special tokens. Raises ToolError."""
    fields = read_json(folder / "tokenizer.json", ErrorCode.UNSUPPORTED_TOKENIZER)
    model = fields.object("model")
    _check_model(model)
    scheme = _scheme(fields, model)
    ids = _ids(model, vocab_size)
    specials = _specials(fields, vocab_size)
    tokens, kinds = _tokens(ids, specials, scheme, vocab_size)
    return Vocabulary(scheme.pre_tokenizer, tuple(tokens), bytes(kinds), _merges(model, ids))


def byte_characters() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: itself where printable Latin-1, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return {chr(value): value for value in printable} | {chr(256 + i): value for i, value in enumerate(others)}


def _check_model(model: Fields) -> None:
    if model.get("type") != "BPE":
        raise _unsupported(model, "type", "BPE")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(name):
            raise _unsupported(model, name, "none")


def _scheme(fields: Fields, model: Fields) -> Scheme:
    if fields.get("pre_tokenizer") is None or model.flag("byte_fallback"):
        _check_sentence_piece(fields, model)
        return Scheme(PreTokenizer.SPACE_PREFIX, None)
    if fields.get("normalizer") is not None:
        raise _unsupported(fields, "normalizer", "none beside a byte-level pre-tokenizer")
    return Scheme(_byte_level(fields.object("pre_tokenizer")), byte_characters())


def _byte_level(pre_tokenizer: Fields) -> PreTokenizer:
    """GPT2 for ByteLevel, GPT2_SINGLE_DIGITS for Digits before ByteLevel."""
    if pre_tokenizer.get("type") != "Sequence":
        _check_byte_level(pre_tokenizer)
        return PreTokenizer.GPT2
    steps = [pre_tokenizer.nested(step, "pretokenizers") for step in pre_tokenizer.items("pretokenizers")]
    kinds = [step.get("type") for step in steps]
    if kinds not in (["ByteLevel"], ["Digits", "ByteLevel"]):
        raise pre_tokenizer.unusable("pretokenizers", [str(kind) for kind in kinds], "Digits, ByteLevel")
    _check_byte_level(steps[-1])
    if len(steps) == 1:
        return PreTokenizer.GPT2
    if not steps[0].flag("individual_digits"):
        raise _unsupported(steps[0], "individual_digits", "true")
    return PreTokenizer.GPT2_SINGLE_DIGITS


def _check_byte_level(step: Fields) -> None:
    if step.get("type") != "ByteLevel":
        raise _unsupported(step, "type", "ByteLevel")
    if step.flag("add_prefix_space"):
        raise _unsupported(step, "add_prefix_space", "false")
    if step.values.get("use_regex", True) is not True:
        raise _unsupported(step, "use_regex", "true")


def _check_sentence_piece(fields: Fields, model: Fields) -> None:
    """Spaces become U+2581, with one in front always; characters without a token fall back to bytes.

    The Metaspace pre-tokenizer is another thing: it puts no space in front of a text that starts with one.
    """
    if not model.flag("byte_fallback"):
        raise _unsupported(model, "byte_fallback", "true without a byte-level pre-tokenizer")
    if fields.get("pre_tokenizer") is not None:
        raise _unsupported(fields, "pre_tokenizer", "none beside byte fallback")
    prepended = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": _SPACE_MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE_MARK}]}
    if fields.get("normalizer") != prepended:
        raise _unsupported(fields, "normalizer", "Prepend and Replace of spaces")


def _ids(model: Fields, vocab_size: int) -> dict[str, int]:
    ids: dict[str, int] = {}
    for text, token in model.object("vocab").values.items():
        if not isinstance(token, int) or not 0 <= token < vocab_size:
            raise _unsupported(model, "vocab", f"ids below vocab_size = {vocab_size}", f"{text!r} with id {token}")
        ids[text] = token
    return ids


def _specials(fields: Fields, vocab_size: int) -> dict[int, str]:
    """Added tokens by id. They stand for no text: a prompt that holds their spelling is encoded as plain text."""
    specials: dict[int, str] = {}
    for item in fields.items("added_tokens"):
        added = fields.nested(item, "added_tokens")
        token, text = added.integer("id"), added.text("content")
        if not added.flag("special"):
            raise _unsupported(fields, "added_tokens", "special tokens only", f"{text!r}, which is not special")
        if not 0 <= token < vocab_size:
            raise _unsupported(fields, "added_tokens", f"ids below vocab_size = {vocab_size}", f"{text!r}, id {token}")
        specials[token] = text
    return specials


def _tokens(
    ids: dict[str, int], specials: dict[int, str], scheme: Scheme, vocab_size: int
) -> tuple[list[bytes], bytearray]:
    tokens, kinds = [b""] * vocab_size, bytearray([TokenKind.SPECIAL]) * vocab_size
    fallbacks: dict[int, int] = {}
    for text, token in ids.items():
        if token in specials:
            continue
        value = _fallback_byte(text) if scheme.byte_of_character is None else None
        spelled = scheme.spell(text)
        if value is not None:
            fallbacks[value] = token
            tokens[token] = text.encode()
        elif spelled is None:
            raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"The token {text!r} in tokenizer.json is not spelled in "
                            "the byte-level alphabet. Add it as a special token, or train the tokenizer again.")
        else:
            tokens[token], kinds[token] = spelled, TokenKind.NORMAL
    for token, text in specials.items():
        tokens[token] = text.encode()
    _add_bytes(tokens, kinds, fallbacks)
    return tokens, kinds


def _fallback_byte(text: str) -> int | None:
    """65 for `<0x41>`."""
    match = _FALLBACK.fullmatch(text)
    return None if match is None else int(match[1], 16)


def _add_bytes(tokens: list[bytes], kinds: bytearray, fallbacks: dict[int, int]) -> None:
    """Gives each byte its token: a single-byte token of the vocabulary first, else its fallback `<0xNN>`.

    A fallback that is not needed stays special, since no two tokens may have the same bytes.
    """
    single = {text[0]: token for token, text in enumerate(tokens) if len(text) == 1 and not kinds[token]}
    for value in range(256):
        token = single.get(value, fallbacks.get(value))
        if token is None:
            raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"tokenizer.json has no token for byte 0x{value:02x}; "
                            "expected all 256. Train it with the whole byte alphabet.")
        tokens[token], kinds[token] = bytes([value]), TokenKind.BYTE


def _merges(model: Fields, ids: dict[str, int]) -> array[int]:
    merges = array("I")
    for rank, item in enumerate(model.items("merges")):
        left, right = _pair(item)
        if left not in ids or right not in ids or left + right not in ids:
            raise _unsupported(model, "merges", "pairs of tokens whose result is a token", f"{item!r} at rank {rank}")
        merges.extend((ids[left], ids[right], ids[left + right]))
    return merges


def _pair(item: Json) -> tuple[str, str]:
    """A merge is `["a", "b"]`, or `"a b"` in older files."""
    parts = item.split(" ") if isinstance(item, str) else item
    if isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], str) and isinstance(parts[1], str):
        return parts[0], parts[1]
    raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"A merge in tokenizer.json is {json.dumps(item)}; expected two "
                    "tokens.")


def _unsupported(fields: Fields, feature: str, expected: str, found: str | None = None) -> ToolError:
    shown = json.dumps(fields.get(feature)) if found is None else found
    return ToolError(
        ErrorCode.UNSUPPORTED_TOKENIZER, f"The tokenizer's {feature} is {shown:.160} ({fields.where}); supported: "
        f"{expected}. Use a byte-level BPE tokenizer, as GPT-2 has.", {"feature": feature})
