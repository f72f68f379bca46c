"""Our ids are those of the `tokenizers` package, for vocabularies imported from its tokenizer.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Oracle

from tests.tokenizer.hugging_face import BYTE_LEVEL, SINGLE_DIGITS, byte_level, save, sentence_piece
from tinypylm.format import PreTokenizer
from tinypylm.pre_tokenizer import pieces
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.tokenizer_json import read_vocabulary

TEXT = Path(__file__).parents[1].joinpath("data", "languages.txt").read_text(encoding="utf-8")
LINES = TEXT.split("\n")
MAKERS: dict[PreTokenizer, Callable[[], Oracle]] = {
    PreTokenizer.GPT2: lambda: byte_level(TEXT),
    PreTokenizer.GPT2_SINGLE_DIGITS: lambda: byte_level(TEXT, SINGLE_DIGITS),
    PreTokenizer.SPACE_PREFIX: lambda: sentence_piece(TEXT),
}
# Text that a prompt may hold, with what the patterns treat differently close together.
PROMPTS = st.text(st.sampled_from("ab'slltreé 字１²½\t\n\u00a0\u3000😀!?é\u200d.0") | st.characters(codec="utf-8"))


@pytest.fixture(scope="module", params=MAKERS, ids=lambda kind: kind.name.lower())
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Oracle]:
    """(ours, theirs) with the same vocabulary."""
    oracle = MAKERS[request.param]()
    folder = tmp_path_factory.mktemp("tokenizer")
    vocab_size = save(oracle, folder)
    vocabulary = read_vocabulary(folder / "tokenizer.json", vocab_size)
    assert vocabulary.pre_tokenizer is request.param
    assert len(vocabulary.merges) >= 3 * 150
    return Tokenizer(vocabulary), oracle


def test_every_line_of_a_multilingual_text_has_the_same_ids(pair: tuple[Tokenizer, Oracle]) -> None:
    ours, theirs = pair
    for line in [*LINES, TEXT, TEXT.replace("\n", "\r\n"), "\n\n".join(LINES)]:
        assert ours.encode(line) == theirs.encode(line, add_special_tokens=False).ids, line


def test_any_text_has_the_same_ids(pair: tuple[Tokenizer, Oracle]) -> None:
    ours, theirs = pair

    @given(PROMPTS)
    def same(text: str) -> None:
        # U+2581 is how theirs spells a space; a special token's text is special there and plain text here.
        if "\u2581" not in text and "<" not in text:
            assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids

    same()


def test_every_text_decodes_to_itself(pair: tuple[Tokenizer, Oracle]) -> None:
    ours, _ = pair
    for line in [*LINES, TEXT, "", " ", "  a", "\u2581", "<|bos|> <s>"]:
        assert ours.decode(ours.encode(line)) == line.encode()


@pytest.mark.parametrize(("kind", "oracle"), [
    (PreTokenizer.GPT2, BYTE_LEVEL), (PreTokenizer.GPT2_SINGLE_DIGITS, SINGLE_DIGITS)])
def test_every_character_cuts_text_where_theirs_does(kind: PreTokenizer, oracle: object) -> None:
    """Every code point up to the CJK extensions and the emoji, in a context that shows its class."""
    # Theirs counts these as numbers only in Unicode 17.
    later = range(0x11DE0, 0x11DEA)
    points = [point for point in [*range(0x80, 0xD800, 7), *range(0x80, 0x3000), *range(0xA000, 0xB000),
                                  *range(0xF900, 0x13460), *range(0x1CC00, 0x1FC00)] if point not in later]
    text = "".join(f"a{chr(point)} {chr(point)}1\n" for point in points)
    borders = [span for _, span in oracle.pre_tokenize_str(text)]  # type: ignore[attr-defined]
    assert [len(piece) for piece in pieces(text, kind)] == [end - start for start, end in borders]
