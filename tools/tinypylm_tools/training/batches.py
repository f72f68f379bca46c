"""Which pieces of documents a step sees: a function of seed and step alone, of which a run needs no memory.

Pieces of about one length make a batch, padded to a multiple of 32 behind their ends; causal attention never looks
there. Every piece comes once an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinypylm_tools.training.tokens import Ids, predictable

NO_TARGET = -100
"""What cross_entropy leaves out."""

WIDTH_STEP = 32
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Batch:
    """ids and targets: int64[rows, width]; `tokens` of the targets are there to be predicted. `pieces`: the number of
    each row's, of a run's."""

    ids: Tensor
    targets: Tensor
    tokens: int
    pieces: tuple[int, ...] = ()


class Batches:
    """The pieces, and an order for each epoch. `lengths`: how many tokens of each piece are predicted."""

    def __init__(self, pieces: Sequence[Ids], tokens_per_batch: int, seed: int):
        self._pieces = predictable(pieces)
        self.lengths = [len(piece) - 1 for piece in self._pieces]
        self._widths = np.array([_width(piece) for piece in self._pieces])
        self._tokens_per_batch, self._seed = tokens_per_batch, seed
        self._epoch = lru_cache(1)(self._shuffled)
        self.per_epoch = len(grouped(self._widths, np.arange(len(self._pieces)), tokens_per_batch))

    def batch(self, number: int) -> Batch:
        """Batch 0, 1, ... of the run."""
        return self._batch(self._epoch(number // self.per_epoch)[number % self.per_epoch])

    def once(self) -> Iterator[Batch]:
        """Every piece once, in batches that no seed changes."""
        return map(self._batch, padded_groups(self._pieces, self._tokens_per_batch))

    def _batch(self, rows: Rows) -> Batch:
        return replace(make_batch([self._pieces[row] for row in rows]), pieces=tuple(rows.tolist()))

    def _shuffled(self, epoch: int) -> list[Rows]:
        generator = np.random.default_rng([self._seed, epoch])
        groups = grouped(self._widths, generator.permutation(len(self._pieces)), self._tokens_per_batch)
        return [groups[index] for index in generator.permutation(len(groups))]


def grouped(widths: NDArray[np.int_], order: Rows, tokens_per_batch: int) -> list[Rows]:
    """`order` in groups of like width, the widest first, each of at most `tokens_per_batch` tokens with its padding.

    How many there are depends on the widths alone.
    """
    ordered = order[np.argsort(-widths[order], kind="stable")]
    groups, start = [], 0
    while start < len(ordered):
        count = max(1, tokens_per_batch // int(widths[ordered[start]]))
        groups.append(ordered[start : start + count])
        start += count
    return groups


def padded_groups(pieces: Sequence[Ids], tokens_per_batch: int) -> list[Rows]:
    """All pieces once, in no order but that of their widths."""
    return grouped(np.array(list(map(_width, pieces))), np.arange(len(pieces)), tokens_per_batch)


def make_batch(pieces: Sequence[Ids]) -> Batch:
    width = max(map(_width, pieces))
    ids = np.zeros((len(pieces), width), np.int64)
    targets = np.full((len(pieces), width), NO_TARGET, np.int64)
    for row, piece in enumerate(pieces):
        ids[row, : len(piece) - 1], targets[row, : len(piece) - 1] = piece[:-1], piece[1:]
    return Batch(torch.from_numpy(ids), torch.from_numpy(targets), sum(len(piece) - 1 for piece in pieces))


def _width(piece: Ids) -> int:
    return -(-(len(piece) - 1) // WIDTH_STEP) * WIDTH_STEP
