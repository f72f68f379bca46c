"""llama2.c's tokenizer.bin: i32 longest token, then for each token f32 score, i32 length, bytes.

Spaces are spaces here. Ids 0 to 2 are <unk>, begin and end, 3 to 258 the bytes: run.c counts on it, and so does this.
"""

from __future__ import annotations

import struct
from math import isnan
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Vocabulary
from tinypylm_tools.importers.score_merges import merges_by_score
from tinypylm_tools.importers.token_list import SENTENCE_PIECE, token_list
from tinypylm_tools.json_fields import missing

_SPECIALS = 3
_ENTRY = struct.Struct("<fi")


def read_vocabulary(path: Path, vocab_size: int) -> Vocabulary:
    """The vocabulary of a tokenizer.bin with `vocab_size` tokens. Raises ToolError."""
    if not path.is_file():
        raise missing(path, "Name the tokenizer.bin that belongs to the model with --tokenizer.")
    texts, scores = _entries(path, vocab_size)
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    if texts[_SPECIALS : _SPECIALS + 256] != bytes_:
        raise _unusable(path, "tokens 3 to 258 are not <0x00> to <0xFF>")
    ids = {text: token for token, text in enumerate(texts) if token >= _SPECIALS}
    if len(ids) + _SPECIALS != len(texts):
        raise _unusable(path, "two tokens have the same text")
    specials = {token: texts[token].strip("\n") for token in range(_SPECIALS)}
    listed = token_list(ids, specials, SENTENCE_PIECE, vocab_size, path.name)
    merges = merges_by_score(listed.mergeable, {text: scores[token] for text, token in listed.mergeable.items()})
    return Vocabulary(SENTENCE_PIECE.pre_tokenizer, listed.tokens, listed.kinds, merges)


def _entries(path: Path, vocab_size: int) -> tuple[list[str], list[float]]:
    data = path.read_bytes()
    texts, scores, at = [], [], 4
    for token in range(vocab_size):
        if at + _ENTRY.size > len(data):
            raise _unusable(path, f"it ends before token {token} of {vocab_size}")
        score, length = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size + length
        if length < 0 or at > len(data) or isnan(score):
            raise _unusable(path, f"token {token} has length {length} and score {score}")
        texts.append(_text(path, token, data[at - length : at]))
        scores.append(score)
    if at != len(data):
        raise _unusable(path, f"it has {len(data) - at} bytes more than the {vocab_size} tokens of the model")
    return texts, scores


def _text(path: Path, token: int, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _unusable(path, f"token {token} is {raw!r}, which is not UTF-8") from None


def _unusable(path: Path, what: str) -> ToolError:
    return ToolError(
        ErrorCode.UNSUPPORTED_TOKENIZER, f"{path} does not fit the model: {what}. Give the tokenizer.bin that was "
        "exported with this model.", {"file": path.name})
