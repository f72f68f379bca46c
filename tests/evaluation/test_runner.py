"""Cases and texts on the real engine, against NumPy where it can say what is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import parse
from tinypylm_tools.evaluation.runner import Runner
from tinypylm_tools.evaluation.sidecar import Items, run, summary
from tinypylm_tools.evaluation.suites import DEFAULT_DECODING, Case, Suite, load_suite, load_text
from tinypylm_tools.fixtures import fixtures
from tinypylm_tools.scoring import bits_of, document_ids, open_engine
from tinypylm_tools.slm_writer import Payload, assemble


@pytest.fixture(scope="module")
def model() -> bytes:
    return fixtures()["tiny-test-model-q4_0.slm"]


def result(model: bytes, task: str, **given: object) -> tuple[str, str]:
    values: dict[str, object] = {"prompt": "ab", "seed": 0, "expected": "", "options": (), "words": ()}
    case = Case(id="a", task=task, decoding={**DEFAULT_DECODING, "max_tokens": 4}, **values | given)  # type: ignore[arg-type]
    found = run(model, Items.of([Suite("s", "task", "x", "0" * 64, 1, (case,))], [])).results[0]
    return found.expected, found.actual


def test_bits_are_those_that_numpy_finds_in_the_logits(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.slm").write_bytes(model)
    engine, tokenizer = open_engine(tmp_path / "m.slm")
    runner = Runner(model)
    for document in ("the cat", "", "é" * 80):
        ids = document_ids(engine, tokenizer, document)
        microbits, size, tokens = runner.microbits(document)
        assert microbits / 1e6 == pytest.approx(bits_of(engine, ids), rel=1e-6, abs=1e-5)
        assert (size, tokens) == (min(len(document.encode()), 63), len(ids) - 1)


def test_of_some_options_the_one_with_the_fewest_bits_is_chosen(model: bytes, tmp_path: Path) -> None:
    """Their own: what comes behind them, an end too, is not asked."""
    (tmp_path / "m.slm").write_bytes(model)
    engine, tokenizer = open_engine(tmp_path / "m.slm")
    for options in (("c", "dd", "!"), ("e", "f"), ("g", "h"), ("ü", "zz", "?")):
        bits = {option: bits_of(engine, tokenizer.encode("ab" + option)) for option in options}
        expected = options[0], min(options, key=lambda o: bits[o])
        assert result(model, "choose", options=options, expected=options[0]) == expected
    assert result(model, "choose", options=("c", "c"), expected="c") == ("c", "c")


def test_an_option_that_the_context_would_cut_is_an_error_and_no_choice(model: bytes) -> None:
    """Cut behind the prompt all options took the same bits, and the first one was chosen."""
    room = 64 - 1
    fits, cut = "x" * (room - 1), "x" * room
    assert result(model, "choose", prompt=fits, options=("c", "d"), expected="c")[1] in ("c", "d")
    for options in (("c", "d"), ("d", "c")):
        assert result(model, "choose", prompt=cut, options=options, expected="c") == ("c", "error ContextExceeded")


def test_a_text_of_which_nothing_can_be_scored_is_refused_by_name(model: bytes, tmp_path: Path) -> None:
    read = parse(model)
    payloads = {(t.role, t.layer): Payload(t.dtype, model[t.offset : t.offset + t.payload_bytes]) for t in read.tensors}
    tokenizer = model[read.header.tokenizer_offset : read.header.tokenizer_end]
    brief = assemble(replace(read.config, context_length=1), payloads, tokenizer, b"")
    (tmp_path / "tales.txt").write_text("A tale.")
    smoke = load_suite(Path(__file__).parents[2] / "models" / "evaluation" / "smoke.toml")
    with pytest.raises(ToolError, match="tales holds no document of which this model can score a token") as refused:
        run(brief, Items.of([smoke], [load_text(tmp_path / "tales.txt")]))
    assert refused.value.code is ErrorCode.UNUSABLE_SUITE


def test_a_text_is_continued_and_its_words_are_looked_for(model: bytes) -> None:
    text, again = result(model, "repeat")
    assert text == again != ""
    assert result(model, "continue", expected="other") == ("other", text)
    assert result(model, "avoid", words=("zebra",)) == ("", "")


def test_an_error_of_the_engine_fails_the_case_and_no_more(model: bytes) -> None:
    assert result(model, "continue", prompt="x" * 200, expected="y") == ("y", "error ContextExceeded")


def test_the_same_bytes_come_out_of_any_number_of_runs(model: bytes, repo_root: Path) -> None:
    work = Items.of([load_suite(repo_root / "models" / "evaluation" / "smoke.toml")], [])
    assert run(model, work) == run(model, work)


def test_two_sets_of_one_name_are_refused(repo_root: Path) -> None:
    smoke = load_suite(repo_root / "models" / "evaluation" / "smoke.toml")
    text = load_text(repo_root / "models" / "evaluation" / "little-stories.txt")
    for suites, texts in (([smoke, smoke], []), ([smoke], [text, text])):
        with pytest.raises(ToolError, match="share a name"):
            Items.of(suites, texts)


def test_a_summary_says_what_was_found_in_words() -> None:
    body = {
        "tallies": [{"role": "task", "passed": 1, "failed": 1, "wilson_low_ppm": 94_528, "wilson_high_ppm": 905_472}],
        "texts": [{"name": "t", "microbits_per_byte": 718_000}],
        "claims": {"runtime_smoke": True, "assistant_quality": False},
        "comparison": {"best": "b", "verdict": "not shown",
                       "cases": {"only_candidate": 1, "only_parent": 0, "p_ppm": 1_000_000},
                       "documents": {"only_candidate": 6, "only_parent": 0, "p_ppm": 31_250}},
    }
    assert summary(body) == [  # type: ignore[arg-type]
        "task: 1 of 2 passed (95 %: 9.5 to 90.5 %)", "t: 0.718000 bits per byte",
        "against b: not shown; cases only this 1, only parent 0 (p 1.0000); "
        "documents only this 6, only parent 0 (p 0.0312)", "supports: runtime-smoke"]
