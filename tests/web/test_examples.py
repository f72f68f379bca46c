"""The example pages as a reader meets them, under the server's policy."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.session.scripted_model import ANSWER, CHAT, scripted_model
from tests.web.desk import LONG_ENOUGH_MS

pytestmark = pytest.mark.browser

TALKER = scripted_model(ANSWER, context_length=200, chat=CHAT)
ENDLESS = scripted_model(b">abcdefgh", context_length=32768, ends=False, chat=CHAT)

STOP_AT_THE_FIRST_TOKEN = """() => new MutationObserver((_, observer) => {
  if (document.querySelector("#turns p:nth-child(4) span") === null) return;
  observer.disconnect();
  document.querySelector("#stop").click();
}).observe(document.querySelector("#turns"), { childList: true, subtree: true })"""


def test_the_minimal_page_tells_a_story(page: Page, server: str):
    page.goto(f"{server}examples/minimal.html")
    story = re.compile(r"^Once upon a time.{40}", re.DOTALL)
    expect(page.locator("#story")).to_have_text(story, timeout=LONG_ENOUGH_MS)


def test_the_chat_page_answers_counts_tells_probabilities_and_stops(page: Page, server: str):
    status, turns, count = page.locator("#status"), page.locator("#turns p"), page.locator("#count")
    page.goto(f"{server}examples/chat.html")
    expect(status).to_contain_text("goes on with what you write", timeout=LONG_ENOUGH_MS)
    opens(page, "talker.slm", TALKER)
    expect(status).to_have_text("scripted listens.")

    page.fill("#draft", "hi")
    prompt = "\nU:hi\nA>"
    expect(count).to_have_text(f"{1 + len(prompt)} of 200 tokens")
    page.press("#draft", "Enter")
    expect(turns).to_have_text(["hi", "helo"])
    expect(page.locator("#draft")).to_have_value("")
    title = turns.nth(1).locator("span").first.get_attribute("title") or ""
    assert re.match(r'log-probability 0\.000 \(100\.0 %\); likeliest: "h" 100\.0 %, "', title)

    page.fill("#draft", 200 * "x")
    page.press("#draft", "Enter")
    expect(status).to_contain_text("[ContextExceeded]")
    expect(turns).to_have_count(2)

    opens(page, "endless.slm", ENDLESS)
    page.evaluate(STOP_AT_THE_FIRST_TOKEN)
    page.fill("#draft", "ho")
    page.press("#draft", "Enter")
    expect(turns).to_have_count(4)
    expect(page.locator("#send")).to_be_enabled(timeout=LONG_ENOUGH_MS)
    assert 1 <= len(turns.nth(3).text_content() or "") < 10_000
    opens(page, "talker.slm", TALKER)
    page.fill("#draft", "hi")
    page.click("#send")
    expect(turns.nth(5)).to_have_text("helo")


def opens(page: Page, name: str, data: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})
    expect(page.locator("#status")).to_have_text("scripted listens.", timeout=LONG_ENOUGH_MS)
