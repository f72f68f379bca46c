"""Merges out of scores: how SentencePiece's BPE, llama2.c and llama.cpp merge, as the ranked pairs of the format.

They join, again and again, the two neighbours whose union is the token of the highest score, the leftmost of equals.
So each way to split a token in two is a merge, and a token's score is the rank of all of its splits.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import groupby

from tinypylm.errors import ErrorCode, ToolError

Split = tuple[bytes, bytes]


def merges_by_score(ids: Mapping[bytes, int], scores: Mapping[bytes, float]) -> array[int]:
    """left, right, result, ... in rank order, for the tokens `ids` that take part in merging.

    Raises ToolError where ranks of pairs cannot say what scores of tokens do.
    """
    _check_characters(ids)
    merges = array("I")
    tokens = sorted((text for text in ids if len(text) > 1), key=lambda text: (-scores[text], ids[text]))
    for _, group in groupby(tokens, key=lambda text: scores[text]):
        splits = {text: [split for split in _splits(text) if split[0] in ids and split[1] in ids] for text in group}
        _check_ties(splits)
        for text, pairs in splits.items():
            for left, right in sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]])):
                merges.extend((ids[left], ids[right], ids[text]))
    return merges


def _splits(text: bytes) -> list[Split]:
    return [(text[:at], text[at:]) for at in range(1, len(text))]


def _check_characters(ids: Mapping[bytes, int]) -> None:
    """Scores also join characters that are no tokens; ranks of pairs of tokens cannot."""
    characters = {character: text for text in ids for character in text.decode()}
    for character, text in characters.items():
        if character.encode() not in ids:
            raise ToolError(
                ErrorCode.UNSUPPORTED_TOKENIZER, f"The token {text.decode()!r} holds {character!r}, which is no token; "
                "expected a token for each character of the others.", {"feature": "character without a token"})


def _check_ties(splits: Mapping[bytes, list[Split]]) -> None:
    """Two tokens of one score: which is joined first depends on the text wherever both could take the same part.

    The splits of one token may share a part (a + aa and aa + a): joined from the left, only the second comes up.
    """
    if len(splits) < 2:
        return
    texts_by_left: dict[bytes, set[bytes]] = {}
    for text, pairs in splits.items():
        for left, _ in pairs:
            texts_by_left.setdefault(left, set()).add(text)
    for text, pairs in splits.items():
        for _, right in pairs:
            for other in texts_by_left.get(right, set()) - {text}:
                raise ToolError(
                    ErrorCode.UNSUPPORTED_TOKENIZER, f"The tokens {text!r} and {other!r} have the same score and share "
                    f"the part {right!r}; expected different scores.", {"feature": "equal scores"})
