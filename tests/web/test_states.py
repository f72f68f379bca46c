"""The page's states: every pair of a state and an event, by the store itself; then every request in every state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.session.scripted_model import scripted_model
from tests.transitions import PAGE
from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

TRY_PAIRS = """async ([paths, events]) => {
  const { Store } = await import("/store.js");
  const outcomes = [];
  for (const [state, path] of Object.entries(paths)) {
    for (const event of events) {
      const store = new Store();
      path.forEach((step) => store.dispatch(step));
      const before = store.snapshot, allowed = store.allows(event);
      let outcome;
      try {
        store.dispatch(event);
        outcome = store.snapshot.state;
      } catch (error) {
        const { detail } = error;
        if (store.snapshot !== before) throw new Error("a refusal left a trace");
        if (detail.state !== state || detail.event !== event) throw new Error("a refusal named another pair");
        outcome = error.code;
      }
      outcomes.push([state, event, before.state, allowed, outcome]);
    }
  }
  return outcomes;
}"""

REQUESTS: dict[str, list[Any]] = {
    "load": [STORYTELLER], "generate": ["a", {"max_tokens": 2}], "step": [], "reset": [], "free": [],
}
CONTROLS = {"load": {"model-select", "model-file"}, **{event: {event} for event in (
    "generate", "step", "stop", "clear", "reset", "free", "restart", "reload")}}

ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)


def test_every_pair_of_a_state_and_an_event_does_what_the_documentation_says(desk: Desk):
    paths = {state: PAGE.path("booting", state) for state in PAGE.following}
    outcomes = desk.page.evaluate(TRY_PAIRS, [paths, PAGE.events])
    assert len(outcomes) == len(PAGE.following) * len(PAGE.events)
    for state, event, reached, allowed, outcome in outcomes:
        following = PAGE.following[state].get(event)
        assert (reached, allowed) == (state, following is not None), (state, event)
        assert outcome == (following or PAGE.refusal[state]), (state, event)


def test_no_event_is_in_the_code_and_not_in_the_documentation(repo_root):
    source = (repo_root / "web" / "store.js").read_text(encoding="utf-8")
    (kinds,) = [part for part in source.split("@typedef {") if part.startswith('"booted"')]
    assert sorted(part.strip(' *\n"') for part in kinds.split("}")[0].split("|")) == PAGE.events


def refuses_what_the_table_leaves_out(desk: Desk, state: str) -> None:
    """The controls are those of the row, every request that is not in it is refused with its code, nothing moves."""
    assert desk.state == state
    events = PAGE.following[state]
    assert desk.enabled() == set().union(*(CONTROLS.get(event, set()) for event in events))
    for method, arguments in REQUESTS.items():
        if method not in events:
            assert desk.refused(method, *arguments)["code"] == PAGE.refusal[state], (state, method)
    assert desk.state == state


def test_every_request_in_every_state(new_desk: Callable[[str], Desk]):
    desk = new_desk("")
    page, waiting, python = desk.page, Waiting(), Waiting()
    page.route("**/pyodide.asm.wasm", python)
    with page.expect_request("**/pyodide.asm.wasm"):
        page.reload(wait_until="commit")
    page.locator("#model-select:enabled").wait_for()  # its scripts have run
    refuses_what_the_table_leaves_out(desk, "booting")
    python.end(page)
    desk.reaches("ready")
    refuses_what_the_table_leaves_out(desk, "ready")

    page.route("**/models/*.slm", waiting)
    page.select_option("#model-select", STORYTELLER)
    desk.reaches("loading")
    refuses_what_the_table_leaves_out(desk, "loading")
    waiting.end(page)
    desk.reaches("model-ready")

    desk.open_file("endless.slm", ENDLESS)
    refuses_what_the_table_leaves_out(desk, "model-ready")
    desk.write("a", max_tokens=32000, temperature=0)
    desk.press("generate")
    refuses_what_the_table_leaves_out(desk, "generating")
    desk.press("stop")
    desk.reaches("context-ready")
    refuses_what_the_table_leaves_out(desk, "context-ready")
    desk.open_file("nothing.slm", b"nothing of the kind")
    refuses_what_the_table_leaves_out(desk, "model-rejected")
    page.workers[0].evaluate("self.close()")
    desk.reaches("runtime-failed")
    refuses_what_the_table_leaves_out(desk, "runtime-failed")
    assert desk.errors == []


class Waiting:
    """A route's handler that holds requests back."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def __call__(self, route: Route) -> None:
        self.routes.append(route)

    def end(self, page: Page) -> None:
        for route in self.routes:
            route.continue_()
        page.unroute_all()


TELL_OF_THE_START = """(() => {
  const { addEventListener } = Worker.prototype;
  let tell;
  window.starts = 0;
  window.started = new Promise((resolve) => { tell = resolve; });
  Worker.prototype.addEventListener = function (type, listener) {
    const told = ({ data }) => {
      if ("boot_ms" in (data.result ?? {})) tell(window.starts += 1);
    };
    if (type === "message") addEventListener.call(this, type, told);
    return addEventListener.call(this, type, listener);
  };
})()"""


def test_a_worker_that_dies_before_the_registry_has_come_is_not_taken_for_the_next_one(browser: Browser, server: str):
    with browser.new_context() as context:
        page, waiting = context.new_page(), Waiting()
        page.add_init_script(TELL_OF_THE_START)
        page.route("**/models/selector.registry", waiting)
        desk = Desk(page, server)
        assert page.evaluate("window.started") == 1
        page.workers[0].evaluate("self.close()")
        desk.reaches("runtime-failed")
        desk.press("restart")
        desk.reaches("booting")
        waiting.end(page)
        desk.reaches("ready")
        assert page.evaluate("window.starts") == 2
        assert desk.code == ""
        assert desk.errors == []


ONE_AFTER_THE_OTHER = """async ([first, second]) => {
  const call = ([method, ...args]) => {
    const made = tinypylm[method](...args);
    return (method === "generate" ? consume(made) : made).then(() => "", (error) => error.code);
  };
  const consume = async (stream) => { for await (const token of stream); };
  const codes = await Promise.all([call(first), call(second)]);
  return [...codes, (await tinypylm.diagnostics()).state];
}"""


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("reset", "generate", ["", "", "context-ready"]),
        ("reset", "step", ["", "NoContext", "model-ready"]),
        ("reset", "free", ["", "", "ready"]),
        ("free", "generate", ["", "ModelNotLoaded", "ready"]),
        ("free", "load", ["", "", "model-ready"]),
        ("free", "reset", ["", "ModelNotLoaded", "ready"]),
        ("free", "free", ["", "ModelNotLoaded", "ready"]),
        ("load", "load", ["", "Busy", "model-ready"]),
        ("load", "generate", ["", "Busy", "model-ready"]),
        ("load", "free", ["", "Busy", "model-ready"]),
        ("step", "step", ["", "Busy", "context-ready"]),
        ("step", "reset", ["", "Busy", "context-ready"]),
        ("generate", "free", ["", "Busy", "context-ready"]),
        ("generate", "load", ["", "Busy", "context-ready"]),
        ("generate", "reset", ["", "Busy", "context-ready"]),
    ],
)
def test_a_request_that_comes_during_another_waits_or_is_refused(
    writer: Desk, first: str, second: str, outcome: list[str]
):
    writer.tokens("a", max_tokens=2)
    calls = [[first, *REQUESTS[first]], [second, *REQUESTS[second]]]
    assert writer.page.evaluate(ONE_AFTER_THE_OTHER, calls) == outcome
    assert writer.tokens("a", max_tokens=2) if outcome[2] != "ready" else writer.state == "ready"


def test_a_stop_behind_a_reset_stops_what_was_asked_for_between_them(desk: Desk):
    desk.open_file("endless.slm", ENDLESS)
    desk.tokens("a", max_tokens=2)
    stopped, tokens = desk.page.evaluate("""async () => {
      const reset = tinypylm.reset();
      const stream = tinypylm.generate("a", {max_tokens: 32000});
      const stopped = await tinypylm.stop();
      let tokens = 0;
      for await (const token of stream) tokens += 1;
      await reset;
      return [stopped, tokens];
    }""")
    assert stopped == {"stopped": True}
    assert tokens < 32000


def test_a_stop_while_the_prompt_is_read_ends_within_a_chunk(desk: Desk):
    """In one of five: on a busy machine the page may be asleep between asking and stopping, while the worker reads."""
    desk.open_file("endless.slm", ENDLESS)
    read = [stopped_while_reading(desk.page) for _ in range(5)]
    assert min(read) <= 16, read
    assert len(desk.tokens("a", max_tokens=8)) == 8


def stopped_while_reading(page: Page) -> int:
    """How many of 8,000 tokens were read."""
    figures = page.evaluate("""async () => {
      const stream = tinypylm.generate("x".repeat(8000), {max_tokens: 8});
      await tinypylm.stop();
      for await (const token of stream);
      const figures = tinypylm.diagnostics();
      await tinypylm.reset();
      return figures;
    }""")
    assert (figures["state"], figures["generated_tokens"]) == ("context-ready", 0)
    assert figures["prompt_tokens"] == 8001
    return int(figures["kv_cache_tokens"])
