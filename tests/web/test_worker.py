"""The worker: how it stops, how it dies, and that it computes what CPython computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Route

from tests.session.scripted_model import scripted_model
from tests.session.story import Story
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

GREEDY = {"temperature": 0, "max_tokens": 60}
SAMPLED = {
    "temperature": 0.9, "top_k": 50, "top_p": 0.95, "min_p": 0.01, "repetition_penalty": 1.1, "seed": 11,
    "max_tokens": 60,
}

WATCH_EMISSION = """(() => {
  const post = self.postMessage.bind(self);
  self.emitted = [];
  self.postMessage = (message) => {
    if (message.event === "tokens") self.emitted.push(performance.timeOrigin + performance.now());
    post(message);
  };
})()"""

STOP_AFTER = """async (count) => {
  let seen = 0, stopped_at = 0, stop;
  for await (const token of tinypylm.generate("a", {max_tokens: 32000})) {
    seen += 1;
    if (seen !== count) continue;
    stop = tinypylm.stop();
    stopped_at = performance.timeOrigin + performance.now();
  }
  return [stopped_at, await stop];
}"""

ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)


@pytest.mark.parametrize("options", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("model", ["storyteller-2m-f32", "storyteller-2m-q8_0", "storyteller-2m-q4_0"])
def test_browser_and_cpython_choose_the_same_tokens(desk: Desk, repo_root: Path, model: str, options: dict[str, float]):
    desk.choose(model)
    in_browser = desk.tokens("One day, a little girl", **options)
    story = Story((repo_root / "models" / f"{model}.slm").read_bytes())
    native = story.tell("One day, a little girl", **options)
    story.session.free()
    assert [(token["id"], token["logprob"]) for token in in_browser] == [(token.id, token.logprob) for token in native]


@pytest.mark.parametrize("threads", [2, 3])
def test_helper_threads_change_no_bit(new_desk: Callable[[str], Desk], repo_root: Path, threads: int):
    desk = new_desk(f"?threads={threads}&model=storyteller-2m-q8_0")
    desk.reaches("model-ready")
    in_browser = desk.tokens("One day, a little girl", **SAMPLED)
    native = Story((repo_root / "models" / "storyteller-2m-q8_0.slm").read_bytes()).tell(
        "One day, a little girl", **SAMPLED)
    assert [(token["id"], token["logprob"]) for token in in_browser] == [(token.id, token.logprob) for token in native]
    assert desk.figure("threads") == str(threads)
    assert desk.errors == []


def test_no_more_than_one_message_with_tokens_comes_after_stop(desk: Desk):
    desk.open_file("endless.slm", ENDLESS)
    worker = desk.page.workers[0]
    worker.evaluate(WATCH_EMISSION)
    stopped_at, answer = desk.page.evaluate(STOP_AFTER, 40)
    assert answer == {"stopped": True}
    assert len([at for at in worker.evaluate("self.emitted") if at > stopped_at]) <= 1


def test_the_engine_is_usable_after_stop(desk: Desk):
    desk.open_file("endless.slm", ENDLESS)
    desk.page.evaluate(STOP_AFTER, 3)
    desk.reaches("context-ready")
    assert len(desk.tokens("a", max_tokens=30)) == 30


def test_leaving_the_loop_stops_the_generation(desk: Desk):
    desk.open_file("endless.slm", ENDLESS)
    state = desk.page.evaluate("""async () => {
      for await (const token of tinypylm.generate("a", {max_tokens: 32000})) break;
      return (await tinypylm.diagnostics()).state;
    }""")
    assert state == "context-ready"


def test_stop_without_anything_to_stop_says_so(writer: Desk):
    assert writer.page.evaluate("tinypylm.stop()") == {"stopped": False}


def test_a_killed_worker_is_noticed_and_restarts_with_the_transcript_kept(new_desk: Callable[[str], Desk]):
    desk = new_desk()
    desk.reaches("ready")
    desk.open_file("endless.slm", ENDLESS)
    desk.write("a", max_tokens=32000)
    desk.press("generate")
    desk.page.locator("#transcript .text", has_text="bcdefgh").wait_for()
    desk.page.workers[0].evaluate("self.close()")
    desk.shows("RuntimeFailed")
    assert desk.state == "runtime-failed"
    assert desk.enabled() == {"restart", "clear"}
    text = desk.transcript
    assert text.startswith("abcdefgh")
    refusal = desk.refused("generate", "a", {})
    assert refusal["code"] == "RuntimeFailed"
    desk.press("restart")
    desk.reaches("ready")
    assert (desk.code, desk.transcript) == ("", text)
    desk.choose(STORYTELLER)
    desk.generate("The cat", max_tokens=8)
    assert desk.errors == []


def test_a_runtime_that_cannot_start_says_why(browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/vendor/manifest.json", lambda route: route.fulfill(status=404, body="not found"))
        desk = Desk(page, server)
        desk.reaches("runtime-failed")
        assert "404" in desk.notice
        page.unroute_all()
        desk.press("restart")
        desk.reaches("ready")


def test_the_page_works_without_cross_origin_isolation(browser, server: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.route(f"{server}?*", without_isolation)
        desk = Desk(page, server, f"?model={STORYTELLER}")
        desk.reaches("model-ready")  # the address names it
        assert desk.figure("cross_origin_isolated") == "false"
        desk.open_file("endless.slm", ENDLESS)
        desk.page.workers[0].evaluate(WATCH_EMISSION)
        stopped_at, _ = page.evaluate(STOP_AFTER, 40)
        late = [at for at in page.workers[0].evaluate("self.emitted") if at > stopped_at]
        assert len(late) <= 2  # the message has to arrive; the flag of an isolated page is seen at once
        assert desk.errors == []


def test_an_isolated_page_without_shared_memory_works_with_one_thread(browser, server: str):
    """As WebKitGTK's under its driver."""
    with browser.new_context() as context:
        context.add_init_script("delete globalThis.SharedArrayBuffer")
        desk = Desk(context.new_page(), server, f"?model={STORYTELLER}&threads=2")
        desk.reaches("model-ready")
        assert (desk.figure("cross_origin_isolated"), desk.figure("threads")) == ("true", "1")
        desk.open_file("endless.slm", ENDLESS)
        desk.page.evaluate(STOP_AFTER, 40)
        assert (desk.state, desk.errors) == ("context-ready", [])


def without_isolation(route: Route) -> None:
    answer = route.fetch()
    headers = {name: value for name, value in answer.headers.items() if not name.startswith("cross-origin-")}
    route.fulfill(response=answer, headers=headers)


