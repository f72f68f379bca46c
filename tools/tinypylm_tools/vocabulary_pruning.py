"""`--prune-vocab`: a source with the tokens that a text uses, all bytes and all special tokens.

A token of the text stays reachable because every merge that makes it stays, with its parts. No other merge ever applied
in that text, so it encodes to the same tokens as before; other texts encode too, to more tokens than before.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np

from tinypylm.config import ModelConfig, Role, TensorSpec
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary
from tinypylm.merge_ranks import MergeRanks
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.source import ReadRows, Rows, Source
from tinypylm_tools.quantise import F32

_TOKEN_ROLES = (Role.TOK_EMBEDDINGS, Role.OUTPUT)


def prune_vocabulary(source: Source, texts: Iterable[str]) -> Source:
    """The source with the tokens that `texts` need, each by itself; ids are numbered anew, in their old order."""
    config = source.config
    pruned, vocabulary, rows = pruned_to(config, source.vocabulary, texts)

    def open_weights() -> ReadRows:
        read = source.open_weights()

        def read_kept(spec: TensorSpec, wanted: Rows) -> F32:
            if spec.role not in _TOKEN_ROLES:
                return read(spec, wanted)
            return read(replace(spec, shape=(config.vocab_size, config.hidden_size)), rows[wanted])

        return read_kept

    return replace(source, config=pruned, vocabulary=vocabulary, open_weights=open_weights)


def pruned_to(
    config: ModelConfig, vocabulary: Vocabulary, texts: Iterable[str]
) -> tuple[ModelConfig, Vocabulary, Rows]:
    """A model's config and vocabulary with the tokens that `texts` need, and the old id of each."""
    kept, ranks = _needed(vocabulary, texts, {config.bos_id, config.eos_id})
    new_ids = {old: new for new, old in enumerate(kept)}
    pruned = replace(
        config, vocab_size=len(kept), bos_id=None if config.bos_id is None else new_ids[config.bos_id],
        eos_id=None if config.eos_id is None else new_ids[config.eos_id])
    return pruned, _renumbered(vocabulary, kept, ranks, new_ids), np.array(kept)


def _needed(vocabulary: Vocabulary, texts: Iterable[str], always: set[int | None]) -> tuple[list[int], list[int]]:
    """Ids to keep, and ranks of merges to keep, both in order."""
    derivations, encode = _Derivations(vocabulary), Tokenizer(vocabulary).encode
    named = [token for token, kind in enumerate(vocabulary.kinds) if token in always or (
        kind == TokenKind.BYTE or (kind == TokenKind.SPECIAL and vocabulary.tokens[token]))]
    kept, ranks = set(named), set[int]()
    for token in set(chain.from_iterable(map(encode, texts))):
        tokens, merges = derivations.of(token)
        kept |= tokens
        ranks |= merges
    return sorted(kept), sorted(ranks)


class _Derivations:
    """How the merges of a vocabulary make a token out of what its text starts as."""

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary = vocabulary
        self._merges = MergeRanks(vocabulary.merges, len(vocabulary.tokens))
        self._ids = {
            text: token for token, text in enumerate(vocabulary.tokens)
            if vocabulary.kinds[token] != TokenKind.SPECIAL}

    def of(self, token: int) -> tuple[set[int], set[int]]:
        """All tokens on the way to `token`, itself among them, and the ranks of the merges."""
        symbols, ranks = self._start(self._vocabulary.tokens[token]), set[int]()
        seen = {token, *symbols}
        while True:
            pairs = enumerate(pairwise(symbols))
            found = [(rank, at) for at, pair in pairs if (rank := self._merges.rank(*pair)) is not None]
            if not found:
                return seen, ranks
            rank, at = min(found)
            symbols[at : at + 2] = [self._merges.result(rank)]
            seen.add(symbols[at])
            ranks.add(rank)

    def _start(self, text: bytes) -> list[int]:
        """Bytes; where the format starts from characters, those that have a token."""
        if self._vocabulary.pre_tokenizer is not PreTokenizer.SPACE_PREFIX:
            return self._bytes(text)
        symbols: list[int] = []
        for character in text.decode("utf-8", "surrogateescape"):
            unit = character.encode("utf-8", "surrogateescape")
            symbols += [self._ids[unit]] if unit in self._ids else self._bytes(unit)
        return symbols

    def _bytes(self, text: bytes) -> list[int]:
        return [self._ids[text[at : at + 1]] for at in range(len(text))]


def _renumbered(vocabulary: Vocabulary, kept: list[int], ranks: list[int], new_ids: dict[int, int]) -> Vocabulary:
    merges = array("I")
    for rank in ranks:
        merges.extend(new_ids[token] for token in vocabulary.merges[3 * rank : 3 * rank + 3])
    return replace(
        vocabulary, tokens=tuple(vocabulary.tokens[token] for token in kept),
        kinds=bytes(vocabulary.kinds[token] for token in kept), merges=merges)
