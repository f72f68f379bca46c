"""Chat in the page: offered by the model's metadata, by mouse and by keyboard, turn after turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.session.scripted_model import ANSWER, CHAT, scripted_model
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

TALKER = scripted_model(ANSWER, context_length=100, chat=CHAT)
ENDLESS = scripted_model(b">abcdefgh", context_length=32768, ends=False, chat=CHAT)


@pytest.fixture
def talker(desk: Desk) -> Iterator[Desk]:
    """The shared page with a model that answers "helo", in Chat, with an empty message."""
    desk.open_file("talker.slm", TALKER)
    choose(desk, "Chat")
    desk.write("", temperature=0)
    yield desk
    desk.reaches("context-ready", "model-ready", "ready")
    if desk.element("mode-chat").is_enabled():
        choose(desk, "Continue")


def choose(desk: Desk, mode: str) -> None:
    desk.page.locator("#mode label", has_text=mode).click()


def says(desk: Desk, message: str) -> None:
    """By the keyboard, to the end of the answer."""
    count = desk.page.locator("#transcript .turn").count()
    desk.write(message)
    desk.element("prompt").press("Enter")
    expect(desk.page.locator("#transcript .turn")).to_have_count(count + 1)
    desk.reaches("context-ready")


def turns(desk: Desk) -> list[list[str]]:
    """Of each turn the names of both sides and what they said."""
    return desk.page.locator("#transcript .turn").evaluate_all(
        "turns => turns.map(turn => [...turn.children].map(part => part.textContent))")


def test_chat_can_be_chosen_only_for_a_model_that_was_made_for_it(desk: Desk):
    chat = desk.element("mode-chat")
    expect(chat).to_be_disabled()
    desk.choose(STORYTELLER)
    expect(chat).to_be_disabled()
    assert "not made for chat" in (desk.element("mode").get_attribute("title") or "")
    assert desk.figure("can_chat") == "false"
    desk.open_file("talker.slm", TALKER)
    expect(chat).to_be_enabled()
    assert desk.figure("can_chat") == "true"
    expect(desk.element("mode-continue")).to_be_checked()


def test_a_chat_is_told_by_its_turns_and_keeps_them(talker: Desk):
    expect(talker.element("generate")).to_have_text("Send")
    says(talker, "hi")
    says(talker, "and?")
    assert turns(talker) == [["You", "hi", "Model", "helo"], ["You", "and?", "Model", "helo"]]
    assert talker.element("prompt").input_value() == ""
    assert talker.page.locator("#status .state").text_content() == "Your turn."
    assert int(talker.figure("prompt_tokens")) == 1 + len("\nU:hi\nA>helo\nU:and?\nA>")
    assert int(talker.figure("reused_prompt_tokens")) == len("\nU:hi\nA>helo\nU:")


def test_shift_enter_starts_a_line_and_the_button_sends(talker: Desk):
    talker.element("prompt").press("h")
    talker.element("prompt").press("Shift+Enter")
    assert talker.element("prompt").input_value() == "h\n"
    talker.press("generate")
    talker.reaches("context-ready")
    assert turns(talker) == [["You", "h\n", "Model", "helo"]]


def test_the_enter_that_ends_a_composition_sends_nothing(talker: Desk):
    talker.write("hi")
    talker.element("prompt").evaluate("""(prompt) => {
      for (const composing of [{ isComposing: true }, { keyCode: 229 }]) {
        prompt.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, ...composing }));
      }
    }""")
    assert talker.element("prompt").input_value() == "hi"
    assert turns(talker) == []


def test_a_step_is_not_offered_since_it_knows_no_end_of_a_turn(talker: Desk):
    says(talker, "hi")
    assert talker.enabled() == {"model-select", "model-file", "generate", "clear", "reset", "free"}
    talker.element("mode-chat").press("ArrowLeft")
    expect(talker.element("mode-continue")).to_be_checked()
    assert "step" in talker.enabled()


def test_clear_forgets_the_turns(talker: Desk):
    says(talker, "hi")
    talker.press("clear")
    says(talker, "ho")
    assert turns(talker) == [["You", "ho", "Model", "helo"]]
    assert int(talker.figure("prompt_tokens")) == 1 + len("\nU:ho\nA>")


def test_a_message_that_is_refused_comes_back_and_was_never_said(talker: Desk):
    says(talker, "hi")
    talker.write(100 * "x")
    talker.press("generate")
    talker.shows("ContextExceeded")
    assert talker.element("prompt").input_value() == 100 * "x"
    assert len(turns(talker)) == 1
    talker.write("")
    talker.press("generate")
    talker.shows("UnusableMessages")
    says(talker, "ho")
    assert int(talker.figure("prompt_tokens")) == 1 + len("\nU:hi\nA>helo\nU:ho\nA>")


def test_an_answer_that_is_stopped_stays_as_far_as_it_came(talker: Desk):
    talker.open_file("endless.slm", ENDLESS)
    talker.write("hi", max_tokens=32000)
    talker.element("prompt").press("Enter")
    talker.page.locator("#transcript .text", has_text="abcdefgh").wait_for()
    expect(talker.element("mode-continue")).to_be_disabled()
    talker.page.keyboard.press("Escape")
    talker.reaches("context-ready")
    ((_, _, _, answer),) = turns(talker)
    before = int(talker.figure("prompt_tokens"))
    talker.write("ho", max_tokens=1)
    talker.element("prompt").press("Enter")
    expect(talker.page.locator("#transcript .turn")).to_have_count(2)
    talker.reaches("context-ready")
    assert int(talker.figure("prompt_tokens")) == before + len(answer) + len("\nU:ho\nA>")


def test_the_next_model_goes_on_with_the_chat_or_continues_texts(talker: Desk):
    says(talker, "hi")
    talker.open_file("talker.slm", TALKER)
    says(talker, "ho")
    assert int(talker.figure("prompt_tokens")) == 1 + len("\nU:hi\nA>helo\nU:ho\nA>")
    talker.choose(STORYTELLER)
    expect(talker.element("generate")).to_have_text("Generate")
    expect(talker.element("mode-continue")).to_be_checked()
    talker.generate("The cat", max_tokens=2)
    assert len(turns(talker)) == 2
    talker.open_file("talker.slm", TALKER)
