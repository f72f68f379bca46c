"""What a step sees."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tinypylm_tools.training.batches import NO_TARGET, Batches, make_batch
from tinypylm_tools.training.tokens import Ids, pieces


def numbered(count: int, seed: int = 0) -> list[Ids]:
    """Pieces of 2 to 99 tokens; each begins with its number."""
    lengths = np.random.default_rng(seed).integers(2, 100, count)
    return [np.array([number, *range(1000, 1000 + length - 1)], np.uint32) for number, length in enumerate(lengths)]


def seen(batches: Batches, epoch: int) -> list[int]:
    numbers = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
    return [int(row[0]) for number in numbers for row in batches.batch(number).ids]


def test_an_epoch_takes_every_piece_once_and_each_epoch_in_its_own_order() -> None:
    batches = Batches(numbered(200), 512, seed=1)
    first, second = seen(batches, 0), seen(batches, 1)
    assert sorted(first) == sorted(second) == list(range(200))
    assert first != second


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    one, other = Batches(numbered(200), 512, seed=1), Batches(numbered(200), 512, seed=1)
    one.batch(0)
    late = one.per_epoch + 3
    assert one.batch(late).ids.equal(other.batch(late).ids)
    assert not Batches(numbered(200), 512, seed=2).batch(0).ids.equal(other.batch(0).ids)


def test_a_batch_holds_at_most_its_tokens_with_the_padding() -> None:
    batches = Batches(numbered(200), 512, seed=1)
    sizes = [batches.batch(number).ids.numel() for number in range(batches.per_epoch)]
    assert max(sizes) <= 512
    assert sum(sizes) / len(sizes) > 400


def test_targets_are_the_next_tokens_and_padding_has_none() -> None:
    batch = make_batch([np.array([7, 8, 9], np.uint32), np.array([5, 6], np.uint32)])
    assert batch.tokens == 3
    assert batch.ids.shape == (2, 32)
    assert batch.targets[0].tolist() == [8, 9] + [NO_TARGET] * 30
    assert batch.targets[1].tolist() == [6] + [NO_TARGET] * 31


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 19, 20, 100])
def test_pieces_of_a_document_predict_each_of_its_tokens_once(length: int) -> None:
    document = np.arange(length, dtype=np.uint32)
    cut = list(pieces([document], 10))
    assert max(map(len, cut)) <= 10
    assert [int(token) for piece in cut for token in piece[1:]] == list(range(1, length))
