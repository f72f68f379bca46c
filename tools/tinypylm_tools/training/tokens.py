"""Documents to token ids: a byte-level BPE tokenizer, trained here or taken from a model, and pieces of its output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tinypylm.config import ModelConfig
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import TokenKind, Vocabulary
from tinypylm_tools.exporters.tokenizer_json import tokenizer_json

Ids = NDArray[np.uint32]
SPECIALS = ["<|bos|>", "<|endoftext|>"]


def train_tokenizer(documents: Iterable[str], vocab_size: int) -> str:
    """tokenizer.json of a byte-level BPE with `SPECIALS` as its first ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(documents, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return str(tokenizer.to_str())


@dataclass(frozen=True, slots=True)
class Encoder:
    """A vocabulary at work on many documents at once, with the ends that its model puts around each."""

    vocabulary: Vocabulary
    config: ModelConfig

    def encode(self, documents: Sequence[str]) -> list[Ids]:
        """bos, the tokens of the document, eos; the ends only where the model has them.

        The spelling of a special token inside a document is plain text, as in a prompt.
        """
        tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(self.vocabulary, self.config.bos_id)))
        tokenizer.encode_special_tokens = True
        front = [] if self.config.bos_id is None else [self.config.bos_id]
        end = [] if self.config.eos_id is None else [self.config.eos_id]
        encoded = tokenizer.encode_batch(list(documents), add_special_tokens=False)
        return [np.array([*front, *item.ids, *end], np.uint32) for item in encoded]

    def sizes_bytes(self) -> NDArray[np.int64]:
        """int64[vocab_size]: the bytes of text that each token stands for."""
        special = int(TokenKind.SPECIAL)
        return np.array([0 if kind == special else len(text) for text, kind in
                         zip(self.vocabulary.tokens, self.vocabulary.kinds, strict=True)], np.int64)


def predictable(documents: Iterable[Ids]) -> list[Ids]:
    """Those of two tokens or more: of one alone nothing is predicted. Raises ToolError where there are none."""
    found = [ids for ids in documents if len(ids) > 1]
    if not found:
        raise ToolError(ErrorCode.UNUSABLE_RUN, "found no document of two tokens that the model's context holds; "
                        "expected some, of which the second is predicted. Give longer texts, or a longer context.", {})
    return found


def pieces(documents: Iterable[Ids], context_length: int) -> Iterator[Ids]:
    """Each document in pieces of at most `context_length` tokens, each beginning with the last token of the one before:
    every token but a document's first is predicted once."""
    for ids in documents:
        for start in range(0, max(1, len(ids) - 1), max(1, context_length - 1)):
            yield ids[start : start + context_length]
