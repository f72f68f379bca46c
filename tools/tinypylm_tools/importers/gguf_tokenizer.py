"""The tokenizer inside a GGUF file: byte-level BPE (`gpt2`) and SentencePiece's BPE with scores (`llama`)."""

from __future__ import annotations

from array import array
from enum import IntEnum

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, Vocabulary
from tinypylm_tools.importers.score_merges import merges_by_score
from tinypylm_tools.importers.token_list import (
    SENTENCE_PIECE,
    Scheme,
    TokenList,
    byte_level,
    merges_of_pairs,
    token_list,
)
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waiver, Waivers, way_out
from tinypylm_tools.json_fields import Fields

# llama.cpp's names of the patterns that it has; these two are GPT-2's own, and GPT-2's behind single digits.
PRE_TOKENIZERS = {
    "gpt-2": PreTokenizer.GPT2, "olmo": PreTokenizer.GPT2, "mpt": PreTokenizer.GPT2, "phi-2": PreTokenizer.GPT2,
    "smollm": PreTokenizer.GPT2_SINGLE_DIGITS, "starcoder": PreTokenizer.GPT2_SINGLE_DIGITS,
    "refact": PreTokenizer.GPT2_SINGLE_DIGITS, "command-r": PreTokenizer.GPT2_SINGLE_DIGITS,
    "codeshell": PreTokenizer.GPT2_SINGLE_DIGITS,
}


class TokenType(IntEnum):
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


_SPECIAL = (TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED)


def read_vocabulary(fields: Fields, vocab_size: int, waivers: Waivers = NO_WAIVERS) -> Vocabulary:
    """The vocabulary that the keys of a GGUF file describe. Raises ToolError for what the format cannot say."""
    scheme = _scheme(fields)
    texts = _texts(fields, vocab_size)
    types = _types(fields, texts, waivers)
    ids = {text: token for token, text in enumerate(texts) if types[token] not in _SPECIAL}
    specials = {token: text for token, text in enumerate(texts) if types[token] in _SPECIAL}
    if len(ids) + len(specials) != len(texts):
        twice = next(text for token, text in enumerate(texts) if ids.get(text, token) != token)
        raise _unsupported(fields, "tokens", f"{twice!r} twice", "different tokens")
    unmade = {token: text for text, token in ids.items() if types[token] == TokenType.USER_DEFINED}
    listed = token_list(ids, specials, scheme, vocab_size, fields.where, unmade)
    return Vocabulary(scheme.pre_tokenizer, listed.tokens, listed.kinds, _merges(fields, scheme, ids, listed))


def bos_id(fields: Fields, vocab_size: int) -> int | None:
    """The token that is put in front of a text; without a word about it, llama.cpp does so for `llama` only."""
    added = fields.get("tokenizer.ggml.add_bos_token")
    puts = fields.flag("tokenizer.ggml.add_bos_token") if added is not None else _is_sentence_piece(fields)
    return token_id(fields, "tokenizer.ggml.bos_token_id", vocab_size) if puts else None


def token_id(fields: Fields, name: str, vocab_size: int) -> int | None:
    if fields.get(name) is None:
        return None
    value = fields.integer(name)
    if not 0 <= value < vocab_size:
        raise fields.unusable(name, value, f"a token id below {vocab_size}")
    return value


def _is_sentence_piece(fields: Fields) -> bool:
    return fields.get("tokenizer.ggml.model") == "llama"


def _scheme(fields: Fields) -> Scheme:
    if _is_sentence_piece(fields):
        for name, wanted in (("add_space_prefix", True), ("remove_extra_whitespaces", False)):
            if fields.values.get(f"tokenizer.ggml.{name}", wanted) is not wanted:
                raise _unsupported(fields, name, str(not wanted).lower(), str(wanted).lower())
        if fields.items("tokenizer.ggml.precompiled_charsmap"):
            raise _unsupported(fields, "precompiled_charsmap", "present", "no normalisation of text")
        return SENTENCE_PIECE
    if fields.get("tokenizer.ggml.model") != "gpt2":
        raise _unsupported(fields, "model", fields.get("tokenizer.ggml.model"), "gpt2 or llama")
    pre = fields.get("tokenizer.ggml.pre")
    if not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        raise _unsupported(fields, "pre", pre, ", ".join(PRE_TOKENIZERS))
    return byte_level(PRE_TOKENIZERS[pre])


def _texts(fields: Fields, vocab_size: int) -> list[str]:
    texts = fields.items("tokenizer.ggml.tokens")
    if not 0 < len(texts) <= vocab_size or not all(isinstance(text, str) for text in texts):
        raise _unsupported(fields, "tokens", f"{len(texts)} entries", f"1 to {vocab_size} strings")
    return [str(text) for text in texts]


def _types(fields: Fields, texts: list[str], waivers: Waivers) -> list[int]:
    types = fields.items("tokenizer.ggml.token_type") or [int(TokenType.NORMAL)] * len(texts)
    for token, kind in enumerate(types):
        if kind == TokenType.USER_DEFINED and Waiver.ADDED_TOKENS not in waivers:
            raise _unsupported(fields, "token_type", f"4 for {texts[token:token + 1]}, which is cut out of a text "
                               "before anything else", "normal, byte, control, unknown and unused tokens. "
                               + way_out(Waiver.ADDED_TOKENS).rstrip("."))
    if len(types) != len(texts) or not all(isinstance(kind, int) and kind in set(TokenType) for kind in types):
        raise _unsupported(fields, "token_type", f"{len(types)} entries", f"{len(texts)} numbers from 1 to 6")
    return [int(str(kind)) for kind in types]


def _merges(fields: Fields, scheme: Scheme, ids: dict[str, int], listed: TokenList) -> array[int]:
    if not _is_sentence_piece(fields):
        pairs = [_pair(fields, item) for item in fields.items("tokenizer.ggml.merges")]
        if all(len(text) == 1 for text in listed.mergeable):
            return array("I")  # a file must name some merge; what it makes is no token, and falls apart again
        return merges_of_pairs(pairs, ids, fields.where)
    scores = fields.items("tokenizer.ggml.scores")
    if len(scores) < len(ids) or not all(isinstance(score, float) for score in scores):
        raise _unsupported(fields, "scores", f"{len(scores)} entries", "a number for each token")
    by_text = {text: float(str(scores[token])) for text, token in listed.mergeable.items()}
    return merges_by_score(listed.mergeable, by_text)


def _pair(fields: Fields, item: object) -> tuple[str, str]:
    left, space, right = str(item).partition(" ")
    if not space or " " in right:
        raise _unsupported(fields, "merges", str(item), "two tokens with a space between them")
    return left, right


def _unsupported(fields: Fields, feature: str, found: object, expected: str) -> ToolError:
    return ToolError(
        ErrorCode.UNSUPPORTED_TOKENIZER, f"The tokenizer's {feature} in {fields.where} is {str(found)[:160]}; "
        f"supported: {expected}.", {"feature": feature})
