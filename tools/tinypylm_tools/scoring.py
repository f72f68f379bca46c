"""What a model thinks of given tokens: logits by position, and bits per byte of whole documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.model_file import open_model


def open_engine(path: Path, kv_cache: KVCache = KVCache.F32) -> tuple[Engine, Tokenizer]:
    """The model of a file, compiled for this machine, and its tokenizer. Raises SlmError."""
    file = open_model(path)
    return Engine.load(file.model, file.data, NativeHost(), kv_cache), Tokenizer.of(file.model)


def checked_ids(engine: Engine, ids: Sequence[int]) -> Sequence[int]:
    """`ids`, if they are 1 to context_length tokens of the vocabulary. Raises ToolError."""
    vocab_size, length = engine.config.vocab_size, engine.config.context_length
    for position, token in enumerate(ids):
        if not 0 <= token < vocab_size:
            raise ToolError(
                ErrorCode.TOKEN_OUT_OF_RANGE, f"id {token} at position {position} is not in the vocabulary; "
                f"expected 0 to {vocab_size - 1}", {"found": token, "position": position, "vocab_size": vocab_size})
    if not 1 <= len(ids) <= length:
        raise ToolError(
            ErrorCode.CONTEXT_EXCEEDED if ids else ErrorCode.EMPTY_PROMPT,
            f"there are {len(ids)} tokens; expected 1 to {length}, which the model's context holds",
            {"prompt_tokens": len(ids), "context_length": length})
    return ids


def logit_rows(engine: Engine, ids: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Row by row, for each of `ids` at positions 0, 1, .., the f32[vocab_size] logits of the token that follows."""
    engine.reset()
    for position, token in enumerate(ids):
        engine.step(token, position)
        yield np.frombuffer(engine.logits(), "<f4")


def bits_per_byte(path: Path, documents: Iterable[str], kv_cache: KVCache = KVCache.F32) -> float:
    """-sum(log2 p(token)) / UTF-8 bytes of the text that those tokens stand for, over all documents.

    A document is bos, its tokens, and the end token, where the model has them, cut to context_length tokens. The end
    token counts in the sum; a first token that nothing precedes counts in neither. Raises SlmError.
    """
    engine, tokenizer = open_engine(path, kv_cache)
    bits, size_bytes = 0.0, 0
    for document in documents:
        ids = document_ids(engine, tokenizer, document)
        bits += bits_of(engine, ids)
        size_bytes += sum(len(tokenizer.token_bytes(token)) for token in ids[1:])
    engine.free()
    return bits / size_bytes


def document_ids(engine: Engine, tokenizer: Tokenizer, document: str) -> list[int]:
    """The tokens of a document as a model was trained on it, cut to what its context holds."""
    end = [] if engine.config.eos_id is None else [engine.config.eos_id]
    return (tokenizer.encode(document) + end)[: engine.config.context_length]


def bits_of(engine: Engine, ids: Sequence[int]) -> float:
    """-sum(log2 p(ids[i] | ids[:i])) for i from 1; softmax in f64."""
    total = 0.0
    for row, token in zip(logit_rows(engine, ids[:-1]), ids[1:], strict=True):
        logits = row.astype(np.float64)
        total += float(np.logaddexp.reduce(logits)) - float(logits[token])
    return total / float(np.log(2))
