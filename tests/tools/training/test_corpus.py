"""Documents: cut, each once, held out by their digest, and no copy of a held-out one trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.tools.training.tiny import documents
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.training.corpus import RULES, Corpus, is_held_out, read_corpus
from tinypylm_tools.training.overlap import runs

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
         "fourteen"]


def corpus_of(folder: Path, texts: list[str], keep: str = "all") -> Corpus:
    path = folder / "texts.txt"
    path.write_text("\n<|endoftext|>\n".join(texts), encoding="utf-8")
    return read_corpus([path], keep)


def test_every_distinct_document_is_on_one_side(tmp_path: Path) -> None:
    found = corpus_of(tmp_path, [*documents(), "", "  ", documents()[0] + "\n", documents()[7]])
    assert sorted(found.train + found.held_out) == sorted(documents())
    assert found.repeated == 2


def test_held_out_are_those_whose_digest_begins_below_eight(tmp_path: Path) -> None:
    found = corpus_of(tmp_path, documents())
    first = [hashlib.sha256(document.encode()).hexdigest()[:2] for document in found.held_out]
    assert set(first) <= {"00", "01", "02", "03", "04", "05", "06", "07"}
    assert not any(hashlib.sha256(document.encode()).hexdigest()[:2] < "08" for document in found.train)


def test_a_copy_of_a_held_out_document_is_not_trained_on(tmp_path: Path) -> None:
    both = " ".join(WORDS)
    held = next(text for text in (f"{both} {n} {both}" for n in range(10_000)) if is_held_out(text))
    copy = next(text for text in (f"Title {n}. {held}" for n in range(100)) if not is_held_out(text))
    found = corpus_of(tmp_path, [*documents(), held, copy])
    assert held in found.held_out
    assert copy not in found.train
    assert found.overlapping == 1
    assert found.shared_ppm == 0


def test_runs_are_thirteen_words_in_small_letters() -> None:
    assert runs(" ".join(WORDS).title()) == {" ".join(WORDS[:13]), " ".join(WORDS[1:])}
    assert runs(" ".join(WORDS[:12])) == set()


def test_what_training_shares_with_held_out_text_is_counted(tmp_path: Path) -> None:
    beginning = " ".join(WORDS[:13])
    texts = [f"{beginning} {' '.join(f'{word}{n}' for word in WORDS * 2)}" for n in range(200)]
    found = corpus_of(tmp_path, texts)
    distinct = {run for document in found.held_out for run in runs(document)}
    assert found.overlapping == 0
    assert found.shared_ppm == round(1e6 / len(distinct))


@pytest.mark.parametrize(("rule", "text", "kept"), [
    ("dialogue", 'He said "a" and "b" and "c" and "d" and "e" and "f".', True),
    ("dialogue", 'He said "a" and "b" and "c" and "d" and "e".', False),
    ("happy_ending", "x" * 200 + " They laughed and went home.", True),
    ("happy_ending", "They laughed." + " x" * 200, False),
    ("happy_ending", "He was not happy, he cried.", False),
    ("happy_ending", "They were unhappy there", False),
])
def test_a_rule_keeps_the_documents_that_it_names(rule: str, text: str, kept: bool) -> None:
    assert RULES[rule](text) is kept


def test_texts_without_both_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="0 held out") as caught:
        corpus_of(tmp_path, [document for document in documents() if not is_held_out(document)])
    assert caught.value.code is ErrorCode.UNUSABLE_RUN


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="happy_ending"):
        corpus_of(tmp_path, documents(), "sad")
