"""Encoding, decoding and streaming, for vocabularies small enough to do by hand."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.errors import ErrorCode, SessionError
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary, parse
from tinypylm.format.vocabulary import byte_vocabulary
from tinypylm.pre_tokenizer import pieces
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.fixtures import fixtures, three_merges

BYTES = Tokenizer(byte_vocabulary(300), 256)
THREE = Tokenizer(three_merges(), 256)
KINDS = list(PreTokenizer)


def tokenizer(kind: PreTokenizer) -> Tokenizer:
    return Tokenizer(replace(three_merges(), pre_tokenizer=kind))


def test_the_fixture_encodes_the_with_bos_in_front() -> None:
    fixture = Tokenizer.of(parse(fixtures()["tiny-test-model-bpe.slm"]))
    assert fixture.encode("the") == [256, 261]
    assert fixture.encode("the", bos=False) == [261]


def test_a_model_without_bos_gets_none() -> None:
    assert tokenizer(PreTokenizer.NONE).encode("a") == [97]


def test_the_byte_tokenizer_is_the_bytes() -> None:
    assert BYTES.encode("é!") == [256, 0xC3, 0xA9, 33]
    assert BYTES.decode([256, 0xC3, 0xA9, 257, 258, 299]) == b"\xc3\xa9"


@pytest.mark.parametrize(("text", "ids"), [
    ("", []), ("t", [116]), ("th", [259]), ("he", [260]), ("thhe", [259, 260]), ("ththe", [259, 261]),
    ("hethe", [260, 261]), ("thee", [261, 101])])
def test_the_lowest_rank_merges_first(text: str, ids: list[int]) -> None:
    assert THREE.encode(text, bos=False) == ids


def test_equal_ranks_merge_from_the_left() -> None:
    tokens = (*(bytes([value]) for value in range(256)), b"aa")
    aa = Vocabulary(PreTokenizer.NONE, tokens, bytes(257), array("I", [97, 97, 256]))
    assert Tokenizer(aa).encode("aaaaa") == [256, 256, 97]


@given(st.text("the ", max_size=40))
def test_merging_is_that_of_the_plain_definition(text: str) -> None:
    """Search all pairs for the lowest rank, again and again."""
    rules = {(left, right): (rank, result) for rank, (left, right, result) in enumerate(three_merges().merge_rules())}
    ids = list(text.encode())
    while ranked := [(rules[pair][0], at) for at, pair in enumerate(pairwise(ids)) if pair in rules]:
        _, at = min(ranked)
        ids[at : at + 2] = [rules[ids[at], ids[at + 1]][1]]
    assert THREE.encode(text, bos=False) == ids


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text() | st.binary())
def test_everything_decodes_to_itself(kind: PreTokenizer, text: str | bytes) -> None:
    ours = tokenizer(kind)
    assert ours.decode(ours.encode(text)) == (text if isinstance(text, bytes) else text.encode())


def test_surrogates_count_as_in_a_browser() -> None:
    assert THREE.decode(THREE.encode("a\ud800b\ud83d\ude00")) == "a\ufffdb😀".encode()


def test_the_spelling_of_a_special_token_is_plain_text() -> None:
    assert THREE.encode("<eos>", bos=False) == list(b"<eos>")


def test_a_space_prefix_is_put_on_and_taken_off() -> None:
    ours = tokenizer(PreTokenizer.SPACE_PREFIX)
    assert ours.encode("the") == [32, 261]
    assert ours.encode("") == []
    assert ours.decode([32, 261, 32]) == b"the "


def test_the_text_that_continues_a_prompt_keeps_its_first_space() -> None:
    stream = tokenizer(PreTokenizer.SPACE_PREFIX).stream()
    assert stream.push(32) + stream.push(261) == " the"


def test_with_a_space_prefix_characters_with_a_token_are_whole_from_the_start() -> None:
    base = three_merges()
    ours = Tokenizer(replace(
        base, pre_tokenizer=PreTokenizer.SPACE_PREFIX, tokens=(*base.tokens, "é".encode()),
        kinds=base.kinds + bytes([TokenKind.NORMAL])))
    assert ours.encode("éè") == [32, 262, 0xC3, 0xA8]


@pytest.mark.parametrize("token", [-1, 262])
def test_a_token_past_the_vocabulary_is_an_error(token: int) -> None:
    with pytest.raises(SessionError, match=f"token {token} is not in the vocabulary; expected 0 to 261") as refused:
        THREE.decode([token])
    assert refused.value.code is ErrorCode.TOKEN_OUT_OF_RANGE


def test_a_character_appears_with_the_token_that_finishes_it() -> None:
    stream = BYTES.stream()
    assert [stream.push(byte) for byte in "a😀é".encode()] == ["a", "", "", "", "😀", "", "é"]
    assert stream.finish() == ""


def test_what_is_left_of_a_broken_character_is_one_replacement() -> None:
    stream = BYTES.stream()
    assert [stream.push(byte) for byte in (0xF0, 0x9F)] == ["", ""]
    assert stream.finish() == "\ufffd"
    assert stream.push(97) == "a"


def test_bytes_that_cannot_become_a_character_are_replaced_at_once() -> None:
    stream = BYTES.stream()
    assert [stream.push(byte) for byte in (0xFF, 0xC3, 97)] == ["\ufffd", "", "\ufffda"]


@given(st.binary(max_size=60))
def test_a_stream_gives_the_text_of_all_its_bytes(data: bytes) -> None:
    stream = BYTES.stream()
    assert "".join(map(stream.push, data)) + stream.finish() == data.decode("utf-8", "replace")


def test_a_long_word_takes_no_quadratic_time() -> None:
    assert THREE.encode("the" * 20_000, bos=False) == [261] * 20_000


@pytest.mark.parametrize(("text", "cut"), [
    ("Hello world's end", ["Hello", " world", "'s", " end"]),
    ("a  b", ["a", " ", " b"]),
    ("a \n\n b  ", ["a", " \n\n", " b", "  "]),
    ("x12 3", ["x", "12", " 3"]),
    ("I'LL 'll", ["I", "'", "LL", " '", "ll"]),
    ("a\u00a0b\u3000", ["a", "\u00a0", "b", "\u3000"]),
])
def test_gpt2_cuts_text_here(text: str, cut: list[str]) -> None:
    assert list(pieces(text, PreTokenizer.GPT2)) == cut


def test_single_digits_stand_alone_and_take_no_space() -> None:
    assert list(pieces("a  12 b", PreTokenizer.GPT2_SINGLE_DIGITS)) == ["a", "  ", "1", "2", " b"]
