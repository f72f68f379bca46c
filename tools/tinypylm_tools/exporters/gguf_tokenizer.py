"""A vocabulary as the keys that a GGUF file has for it."""

from __future__ import annotations

from dataclasses import dataclass

from tinypylm.format import PreTokenizer, Vocabulary
from tinypylm_tools.exporters.spelling import Spelled, Use, is_sentence_piece, spelled_tokens, unsayable
from tinypylm_tools.importers.gguf_tokenizer import TokenType
from tinypylm_tools.importers.score_merges import merges_by_score

_PRE_TOKENIZERS = {PreTokenizer.GPT2: "gpt-2", PreTokenizer.GPT2_SINGLE_DIGITS: "smollm"}
_TYPES = {Use.TEXT: TokenType.NORMAL, Use.FALLBACK: TokenType.BYTE, Use.SPECIAL: TokenType.CONTROL,
          Use.NOTHING: TokenType.UNUSED}
# Readers refuse a list of none. Two zero bytes become a token that is not there, and are two bytes again.
_NO_MERGES = ["\u0100 \u0100"]


@dataclass(frozen=True, slots=True)
class GgufTokenizer:
    """`tokenizer.ggml.` keys; `pre` and `merges` for byte-level vocabularies, `scores` for SentencePiece's."""

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float]


def gguf_tokenizer(vocabulary: Vocabulary) -> GgufTokenizer:
    """Raises ToolError for a vocabulary that llama.cpp has no name or no scores for."""
    spelled = spelled_tokens(vocabulary)
    texts = [token.text or f"[PAD{number}]" for number, token in enumerate(spelled)]
    types = [TokenType.UNKNOWN if token.text == "<unk>" else _TYPES[token.use] for token in spelled]
    if is_sentence_piece(vocabulary):
        return GgufTokenizer("llama", "default", texts, [*map(int, types)], [], _scores(vocabulary, spelled))
    merges = [f"{texts[left]} {texts[right]}" for left, right, _ in vocabulary.merge_rules()]
    return GgufTokenizer("gpt2", _pre(vocabulary), texts, [*map(int, types)], merges or _NO_MERGES, [])


def _pre(vocabulary: Vocabulary) -> str:
    """Where nothing merges it does not matter where a text is cut."""
    if not vocabulary.merges:
        return _PRE_TOKENIZERS[PreTokenizer.GPT2]
    if vocabulary.pre_tokenizer not in _PRE_TOKENIZERS:
        raise unsayable("llama.cpp has no pre-tokenizer that cuts nothing. Export to hf instead")
    return _PRE_TOKENIZERS[vocabulary.pre_tokenizer]


def _scores(vocabulary: Vocabulary, spelled: list[Spelled]) -> list[float]:
    """A token scores minus the rank of its first merge. Raises ToolError where that would not give the same merges."""
    scores = [0.0] * len(spelled)
    for rank, (_, _, result) in reversed(list(enumerate(vocabulary.merge_rules()))):
        scores[result] = -float(rank + 1)
    ids = {raw: token for token, raw in enumerate(vocabulary.tokens) if spelled[token].use is Use.TEXT}
    by_text = {raw: scores[token] for raw, token in ids.items()}
    if merges_by_score(ids, by_text) != vocabulary.merges:
        raise unsayable("its merges are ranked one by one, which scores of tokens cannot say. Export to hf instead")
    return scores
