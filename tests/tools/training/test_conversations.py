"""Stories as conversations: what is asked fits the story, which stands in them unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.training.conversations import CHAT, conversation
from tinypylm_tools.training.corpus import is_held_out, read_corpus

TIM = "Once there was a kind boy named Tim. He had a kite. The kite flew. The kite fell. Tim took the kite home{}. {}"
SAD, HAPPY = "Tim cried and was sad.", "Tim smiled and was happy."


def stories(ending: str, count: int = 400) -> list[str]:
    return [TIM.format(number, ending) for number in range(count)]


def wishes(story: str) -> list[str]:
    turns = conversation(story).split("User: ")[1:]
    return [turn.split("\n")[0] for turn in turns if story in turn]


def test_every_story_is_one_answer_and_stands_unchanged() -> None:
    for story in stories(HAPPY):
        written = conversation(story)
        assert written.count("Storyteller: " + story) == 1
        assert written.startswith(str(CHAT["user_prefix"]))


def test_a_story_has_the_same_conversation_always_and_others_have_others() -> None:
    assert [conversation(story) for story in stories(SAD)] == [conversation(story) for story in stories(SAD)]
    assert len({wish for story in stories(SAD) for wish in wishes(story)}) > 20


def test_a_wish_names_who_or_what_the_story_is_about() -> None:
    subjects = ("a kind boy named Tim", "Tim and the kite", "the kite", "a kite")
    asked = [wish for story in stories(HAPPY) for wish in wishes(story)]
    assert len(asked) == 400
    assert all(any(subject in wish for subject in subjects) for wish in asked)
    assert all(any(subject in wish for wish in asked) for subject in subjects)


@pytest.mark.parametrize(("ending", "asked", "never"), [(HAPPY, "happy", "sad"), (SAD, "sad", "happy")])
def test_a_wish_for_an_ending_is_for_the_story_s_own(ending: str, asked: str, never: str) -> None:
    found = " ".join(wish for story in stories(ending) for wish in wishes(story))
    assert f"with a {asked} ending" in found
    assert f"with a {never} ending" not in found


def test_a_story_about_nothing_that_can_be_named_is_asked_for_all_the_same() -> None:
    assert "something nice" in wishes("it rained. it rained more. then it was dry.")[0]


def test_some_conversations_begin_with_a_greeting_and_some_end_with_thanks() -> None:
    written = [conversation(story) for story in stories(SAD)]
    assert 50 < sum(text.count("User: ") > 1 and text.endswith("ad.") for text in written) < 150
    assert 30 < sum(not text.endswith("ad.") for text in written) < 110


def test_a_corpus_is_split_before_its_documents_are_written(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n<|endoftext|>\n".join(stories(SAD)), encoding="utf-8")
    found = read_corpus([path], "all", "chat")
    plain = read_corpus([path], "all")
    assert found.held_out == tuple(map(conversation, plain.held_out))
    assert found.train == tuple(map(conversation, plain.train))
    assert all(map(is_held_out, plain.held_out))


def test_a_form_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"form in \[data\]: found 'verse', expected one of plain, chat") as raised:
        read_corpus([tmp_path], "all", "verse")
    assert raised.value.code is ErrorCode.UNUSABLE_RUN
