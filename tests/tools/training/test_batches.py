"""What a step sees."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.training.batches import NO_TARGET, Batches, make_batch
from tinypylm_tools.training.corpus import SEPARATOR
from tinypylm_tools.training.description import Shape
from tinypylm_tools.training.measure import HeldOut
from tinypylm_tools.training.start import vocabulary_of
from tinypylm_tools.training.tokens import SPECIALS, Encoder, Ids, pieces, train_tokenizer


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


def test_a_document_of_one_token_is_left_out_and_nothing_else_is_refused() -> None:
    """Nothing stands before its token or behind it in a model without begin and end."""
    alone, pair = np.array([7], np.uint32), np.array([7, 8], np.uint32)
    sizes = np.ones(9, np.int64)
    held_out = HeldOut.of([alone, pair], sizes, 48)
    assert (held_out.documents, list(held_out.sizes_bytes)) == (2, [1.0])
    assert [batch.tokens for batch in held_out.batches] == [1]
    for refuse in (lambda: HeldOut.of([alone], sizes, 48), lambda: HeldOut.of([pair], sizes, 1),
                   lambda: Batches(list(pieces([pair], 1)), 512, seed=1)):
        with pytest.raises(ToolError, match="no document of two tokens") as caught:
            refuse()
        assert caught.value.code is ErrorCode.UNUSABLE_RUN


@pytest.mark.parametrize("name", [name for name in SPECIALS if name != SEPARATOR] + ["<|bos"])
def test_the_spelling_of_a_special_token_in_a_document_is_plain_text(name: str) -> None:
    """As in a prompt, where no text that a person types becomes a control token."""
    story = f"A sign said {name}. Then all went home."
    vocabulary = vocabulary_of(train_tokenizer([story] * 9, 300), 300)
    config = Shape("llama", 300, 64, 1, 2, 1, 64, 48).config()
    (ids,) = Encoder(vocabulary, config).encode([story])
    assert ids.tolist() == [*Tokenizer(vocabulary, config.bos_id).encode(story), config.eos_id]


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 19, 20, 100])
def test_pieces_of_a_document_predict_each_of_its_tokens_once(length: int) -> None:
    document = np.arange(length, dtype=np.uint32)
    cut = list(pieces([document], 10))
    assert max(map(len, cut)) <= 10
    assert [int(token) for piece in cut for token in piece[1:]] == list(range(1, length))
