"""What counts as a story, question by question, and the command that asks them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm_tools.cli import main
from tinypylm_tools.commands.stories import BEGINNINGS
from tinypylm_tools.fixtures import fixtures
from tinypylm_tools.storytelling import Beginning, judged, read_beginnings, stories

LILY = Beginning("Lily", "Lily found a door.")


def test_a_story_that_ends_stays_and_moves_on_is_sound() -> None:
    story = judged(LILY, ' She opened it. Inside was a cat. Lily said, "Hello!"', ended=True)
    assert (story.ends, story.stays, story.moves_on, story.is_sound) == (True, True, True, True)


@pytest.mark.parametrize(
    ("text", "ended"), [(" Lily went in.", False), (" Lily went in", True), (" Lily went in,", True)])
def test_a_story_that_is_cut_off_does_not_end(text: str, ended: bool) -> None:
    story = judged(LILY, text, ended)
    assert not story.ends
    assert not story.is_sound


@pytest.mark.parametrize("text", [" Lily went in. It was dark. Tom was there. He ran.", " Tom ate Lilyberries.", ""])
def test_a_story_that_forgets_its_character_does_not_stay(text: str) -> None:
    assert not judged(LILY, text, ended=True).stays


def test_a_possessive_names_its_character() -> None:
    assert judged(LILY, " It was dark. It was Lily's room.", ended=True).stays


def test_eight_words_in_a_row_twice_go_in_circles_and_seven_do_not() -> None:
    eight = "the dog ran to the big red house"
    assert not judged(LILY, f" Then {eight}. And {eight.upper()}!", ended=True).moves_on
    seven = eight.removeprefix("the ")
    assert judged(LILY, f" Then a {seven}. And one {seven}!", ended=True).moves_on


def test_a_beginning_is_continued_by_its_index_as_the_seed() -> None:
    session = Session(NativeHost())
    session.load(fixtures()["tiny-test-model-q8_0.slm"])
    told = list(stories(session, [LILY, LILY, Beginning("Ben", "Ben ran.")]))
    session.start(LILY.text, SamplingOptions(seed=1, max_tokens=session.config.context_length))
    text = "".join(event.text for event in session.advance(lambda: False))
    assert told[1].text == text != told[0].text


def test_the_fifty_beginnings_are_fifty() -> None:
    found = read_beginnings(BEGINNINGS)
    assert len(found) == len({beginning.text for beginning in found}) == 50


@pytest.mark.parametrize("line", ["Lily found a ball.", "Lily: Ben found a ball.", "Lily:Lily found", ": x"])
def test_a_line_without_its_character_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(f"# three\n\nLily: Lily ran.\n{line}\n", encoding="utf-8")
    with pytest.raises(ToolError, match="line 4") as raised:
        read_beginnings(path)
    assert raised.value.code is ErrorCode.UNUSABLE_SUITE


def test_a_file_without_beginnings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ToolError, match="holds no beginning"):
        read_beginnings(path)


def test_the_command_counts_shows_and_refuses(tmp_path: Path) -> None:
    model, lines = tmp_path / "tiny.slm", tmp_path / "lines.txt"
    model.write_bytes(fixtures()["tiny-test-model-q8_0.slm"])
    lines.write_text("Lily: Lily ran.\nBen: Ben sat.\n", encoding="utf-8")
    arguments = ["stories", str(model), "--beginnings", str(lines)]
    told = CliRunner().invoke(main, [*arguments, "--show", "1"])
    assert "  0 of 2 all three (0 to 66 %)" in told.output
    assert "\n[1] Ben sat." in told.output
    assert "not so: name their character in the second half" in told.output
    body = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert body["counts"]["is_sound"] == 0
    assert [story["beginning"]["character"] for story in body["stories"]] == ["Lily", "Ben"]
    refused = CliRunner().invoke(main, [*arguments, "--show", "2"])
    assert refused.exit_code == 2
    assert "there is no story 2; the last one is 1" in refused.output
