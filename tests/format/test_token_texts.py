"""The compact forms of a vocabulary behave as the plain ones that they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.format.repeats import first_repeat
from tinypylm.format.token_texts import TokenTexts

TEXTS = st.lists(st.binary(max_size=3))


@given(TEXTS, st.integers(0, 3))
def test_texts_are_the_sequence_that_they_were_made_of(texts: list[bytes], empty: int) -> None:
    plain = (*texts, *[b""] * empty)
    compact = TokenTexts.of(texts, empty)
    assert (tuple(compact), len(compact), compact[1:-1]) == (plain, len(plain), plain[1:-1])
    assert [compact[token] for token in range(-len(plain), len(plain))] == [*plain, *plain]
    assert compact == plain
    assert plain == compact


def test_texts_that_differ_in_a_byte_a_border_or_their_number_are_not_equal() -> None:
    texts = TokenTexts.of([b"ab", b"c"])
    assert texts == TokenTexts.of([b"ab", b"c"])
    for other in ([b"ab", b"d"], [b"a", b"bc"], [b"ab"], [b"ab", b"c", b""]):
        assert texts != TokenTexts.of(other)
    assert texts != 3


def test_a_text_past_the_last_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        TokenTexts.of([b"a"])[1]


@given(TEXTS)
def test_the_first_repeat_is_the_first_item_that_stands_before_it_too(texts: list[bytes]) -> None:
    expected = next((index for index, text in enumerate(texts) if text in texts[:index]), None)
    assert first_repeat(range(len(texts)), texts.__getitem__) == expected
