"""Suites and texts as files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tinypylm.errors import ProvenanceError, SlmError, ToolError
from tinypylm_tools.evaluation.defaults import default_items, smoke_items
from tinypylm_tools.evaluation.suites import DEFAULT_DECODING, load_suite, load_text

HEAD = 'name = "n"\nrole = "task"\nscope = "s"\n'
CASE = '[[cases]]\nid = "a"\ntask = "repeat"\nprompt = "p"\n'


def suite(tmp_path: Path, text: str, name: str = "s.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_and_json_lines_say_the_same(tmp_path: Path) -> None:
    other = '[[cases]]\nid = "b"\ntask = "continue"\nprompt = "p"\nexpected = "e"\n'
    toml = load_suite(suite(tmp_path, HEAD + other + CASE))
    lines = [{"name": "n", "role": "task", "scope": "s"},
             {"id": "b", "task": "continue", "prompt": "p", "expected": "e"},
             {"id": "a", "task": "repeat", "prompt": "p"}]
    jsonl = load_suite(suite(tmp_path, "\n".join(map(json.dumps, lines)), "s.jsonl"))
    assert jsonl.cases == toml.cases
    assert [case.id for case in toml.cases] == ["a", "b"]
    assert toml.cases[0].decoding == DEFAULT_DECODING
    assert toml.sha256 == hashlib.sha256((tmp_path / "s.toml").read_bytes()).hexdigest()


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    """JSON leaves U+2028, U+0085 and their like in a string as they are."""
    prompt = "one\u2028two\x85three"
    lines = [{"name": "n", "role": "task", "scope": "s"}, {"id": "a", "task": "repeat", "prompt": prompt}]
    text = "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert load_suite(suite(tmp_path, text, "s.jsonl")).cases[0].prompt == prompt


def test_documents_of_a_text_from_windows_are_those_of_any_other(tmp_path: Path) -> None:
    text = "A cat sat.\nIt ran.\n\n \nThe dog.\n\n\n"
    found = []
    for name, data in (("one.txt", text), ("two.txt", text.replace("\n", "\r\n"))):
        (tmp_path / name).write_bytes(data.encode())
        found.append(load_text(tmp_path / name).documents)
    assert found == [("A cat sat.\nIt ran.", "The dog."), ("A cat sat.\r\nIt ran.", "The dog.")]


def test_decoding_of_a_case_goes_over_that_of_its_suite(tmp_path: Path) -> None:
    text = HEAD + "[decoding]\nmax_tokens = 5\ntop_k = 7\n" + CASE + 'seed = "9"\ndecoding = { top_k = 8 }\n'
    case = load_suite(suite(tmp_path, text)).cases[0]
    assert (case.decoding["max_tokens"], case.decoding["top_k"], case.seed) == (5, 8, 9)


@pytest.mark.parametrize(("text", "words"), [
    (HEAD + CASE + 'promt = "x"\n', "cases[0] has the key 'promt', which it must not; did you mean prompt?"),
    (HEAD.replace("scope", "scop") + CASE, "did you mean scope?"),
    (HEAD + "[decoding]\ntemperature = 1\n" + CASE, "did you mean temperature_ppm?"),
    (HEAD + "[decoding]\ntemperature_ppm = 0.5\n" + CASE, "decoding.temperature_ppm is 0.5"),
    (HEAD + CASE.replace("repeat", "guess"), "cases[0].task is 'guess', expected one of repeat, choose, continue"),
    (HEAD + CASE.replace("repeat", "choose"), "lacks the key 'options'"),
    (HEAD + CASE + "seed = 7\n", "seed is 7, expected a u64 as a decimal string"),
    (HEAD.replace("task", "exam") + CASE, "expected one of smoke, task, safety"),
    (HEAD + CASE + CASE, "two cases with the id 'a'"),
    (HEAD + CASE.replace("repeat", "choose") + 'options = ["x", "y"]\nexpected = "z"\n', "none of its options"),
    (HEAD + "cases = []\n", "a list of 1"), ("name = ", "cannot be read as a suite"), ("\ufeff", "cannot be read"),
])
def test_a_suite_that_breaks_its_shape_is_refused_by_place_and_nearest_key(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(SlmError) as refused:
        load_suite(suite(tmp_path, text))
    assert words in refused.value.message
    assert "s.toml" in refused.value.message


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", '{"name": 1', '{"name": "n"}\n[]'])
def test_json_lines_that_are_no_suite_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises((ToolError, ProvenanceError)):
        load_suite(suite(tmp_path, text, "s.jsonl"))


def test_documents_stand_apart_by_empty_lines(tmp_path: Path) -> None:
    text = load_text(suite(tmp_path, "\none\ntwo\n\n \n\nthree\n", "t.txt"))
    assert (text.name, text.documents) == ("t", ("one\ntwo", "three"))


def test_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\xff")
    for path in (tmp_path / "t.txt", suite(tmp_path, " \n\n", "u.txt"), tmp_path / "v.txt"):
        with pytest.raises(ToolError):
            load_text(path)


def test_the_sets_of_the_tree_are_used_where_there_are_no_others(tmp_path: Path) -> None:
    items = default_items(tmp_path)
    assert [suite.name for suite in items.suites] == ["safety", "smoke", "story-endings"]
    assert len(items.texts[0].documents) == 24
    assert [suite.name for suite in smoke_items().suites] == ["smoke"]
