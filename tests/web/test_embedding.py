"""tinypylm.js in a page of somebody else's: what it loads, says, counts and refuses, and how it is stopped."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Route

from tests.adapters.packages import matrices, model_file, package
from tests.engine.models import config, random_file
from tests.session.scripted_model import ANSWER, CHAT, scripted_model, token_model
from tests.session.story import Story, text_of
from tests.web.desk import STORYTELLER
from tests.web.host_page import HostPage
from tinypylm.adapters import PackageFormat
from tinypylm.config import DType
from tinypylm.format import parse
from tinypylm.tokenizer import Tokenizer

pytestmark = pytest.mark.browser

MODELS = Path(__file__).resolve().parents[2] / "models"
PROMPT = "One day, a little girl"
GREEDY = {"temperature": 0, "max_tokens": 24}
ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)
TALKER = scripted_model(ANSWER, context_length=200, chat=CHAT)

LOAD = """async ({TinyPyLM, given}) => {
  const phases = [];
  window.lm = await TinyPyLM.load({ ...given, onProgress: ({ phase }) => phases.push(phase) });
  return { phases: [...new Set(phases)], model: lm.model, canChat: lm.canChat };
}"""


@pytest.fixture(scope="module")
def shared_host(browser: Browser, server: str) -> Iterator[HostPage]:
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        host.run(LOAD, {"model": STORYTELLER, "threads": 1})
        yield host


@pytest.fixture
def host(shared_host: HostPage) -> Iterator[HostPage]:
    """The shared page, with the storyteller loaded and no context."""
    if shared_host.run("({lm}) => lm.model") != STORYTELLER:
        shared_host.run("({lm, given}) => lm.open({ model: given })", STORYTELLER)
    shared_host.run("({lm}) => lm.detachAdapters()")
    yield shared_host
    errors, shared_host.errors = shared_host.errors, []
    assert errors == []


@pytest.fixture(scope="module")
def storyteller() -> Iterator[Story]:
    story = Story((MODELS / f"{STORYTELLER}.slm").read_bytes())
    yield story
    story.session.free()


def test_it_tells_what_cpython_tells(host: HostPage, storyteller: Story):
    tokens, result = host.run("""async ({lm, given, told}) => {
      const generation = lm.generate(...given);
      return [await told(generation), await generation.result];
    }""", [PROMPT, GREEDY])
    expected = storyteller.tell(PROMPT, **GREEDY)
    assert [(token["id"], token["text"], token["logprob"]) for token in tokens] == [
        (event.id, event.text, event.logprob) for event in expected]
    assert result["text"] == text_of(expected)
    assert result["finish_reason"] == "length"
    assert result["figures"]["generated_tokens"] == 24


def test_a_model_of_the_registry_is_assembled_with_its_evidence_as_in_our_page(host: HostPage):
    fetches = host.run("({lm}) => lm.fetches")
    assert {"runtime-manifest", "registry", "plan", "model", "admission", "ledger"} <= {
        fetch["component"] for fetch in fetches}
    assert {fetch["outcome"] for fetch in fetches} == {"accepted"}
    figures = host.run("({lm}) => lm.diagnostics()")
    assert (figures["module_2_phase"], figures["cross_origin_isolated"]) == ("verify-assembly-evidence", True)


def test_a_model_comes_from_an_address_with_its_digest(host: HostPage):
    data = (MODELS / "fixtures" / "tiny-test-model.slm").read_bytes()
    source = {"url": "/models/fixtures/tiny-test-model.slm", "sha256": hashlib.sha256(data).hexdigest()}
    phases = host.run("""async ({lm, given}) => {
      const phases = new Set();
      await lm.open({ ...given, onProgress: ({ phase }) => phases.add(phase) });
      return [...phases];
    }""", source)
    assert phases == ["Opening", "Downloading", "Verifying and compiling"]
    assert host.run("({lm}) => lm.model") == parse(data).metadata["name"]
    wrong = host.run("({lm, given, refused}) => refused(() => lm.open(given))", source | {"sha256": 64 * "0"})
    assert (wrong["code"], wrong["typed"]) == ("DigestMismatch", True)
    assert host.run("({lm, refused}) => refused(() => lm.generate('a').next())")["code"] == "ModelNotLoaded"


@pytest.mark.parametrize("kind", ["bytes", "bytes.buffer", "new Blob([bytes])", "new File([bytes], 'mine.slm')"])
def test_a_model_comes_from_bytes_of_any_kind(host: HostPage, kind: str):
    said = host.run(f"""async ({{lm, given, bytesOf}}) => {{
      const bytes = bytesOf(given);
      await lm.open({{ bytes: {kind} }});
      return [lm.model, lm.canChat];
    }}""", b64encode(TALKER).decode())
    assert said == ["scripted", True]


@pytest.mark.parametrize("text", ["", "The cat's 2 hats.", " héllo 🐈\n"])
def test_tokens_are_those_of_the_model_s_tokenizer(host: HostPage, text: str):
    pieces, count, bare, back = host.run("""async ({lm, given}) => {
      const pieces = await lm.tokenize(given);
      return [pieces, await lm.countTokens(given), await lm.countTokens(given, { bos: false }),
        await lm.detokenize(pieces.map(({ id }) => id))];
    }""", text)
    tokenizer = Tokenizer.of(parse((MODELS / f"{STORYTELLER}.slm").read_bytes()))
    assert [piece["id"] for piece in pieces] == tokenizer.encode(text)
    assert b"".join(bytes(piece["bytes"]) for piece in pieces) == text.encode()
    assert (count, bare, back) == (len(pieces), len(pieces) - 1, text)


def test_log_probabilities_are_those_of_the_whole_vocabulary(host: HostPage, storyteller: Story):
    tokens = host.run("({lm, given, told}) => told(lm.generate(...given))", [
        PROMPT, {"temperature": 1.3, "repetition_penalty": 1.4, "seed": 5, "max_tokens": 1, "top_logprobs": 4}])
    storyteller.tell(PROMPT, max_tokens=1)
    logits = np.frombuffer(storyteller.session.engine.logits(), "<f4").astype(np.float64)
    logprobs = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    best = np.argsort(-logprobs)[:4]
    (token,) = tokens
    assert [other["id"] for other in token["top"]] == best.tolist()
    assert [other["logprob"] for other in token["top"]] == pytest.approx(logprobs[best], abs=1e-5)
    assert token["logprob"] == pytest.approx(logprobs[token["id"]], abs=1e-5)
    assert bytes(token["bytes"]).decode() == token["text"]


ABORTED = """async ({lm, given}) => {
  const control = new AbortController();
  const seen = [];
  try {
    for await (const { index } of lm.generate("a", { max_tokens: 32000, signal: control.signal })) {
      seen.push(index);
      if (seen.length === 5) control.abort(...given);
      await new Promise((resolve) => setTimeout(resolve)); // a slow reader: more tokens wait than were read
    }
  } catch (error) {
    const again = await lm.generate("a", { temperature: 0, max_tokens: 3 }).result;
    return [error.name ?? error, seen.length, again.text];
  }
}"""


@pytest.mark.parametrize(("reason", "name"), [([], "AbortError"), (["enough"], "enough")])
def test_an_aborted_generation_rejects_with_the_reason_and_leaves_the_model_usable(
    host: HostPage, reason: list[str], name: str
):
    host.open(ENDLESS)
    assert host.run(ABORTED, reason) == [name, 5, "bcd"]


def test_a_signal_that_is_aborted_already_starts_nothing(host: HostPage):
    before = host.run("({lm}) => lm.diagnostics()")
    refusal = host.run("({lm, refused}) => refused(() => lm.generate('a', { signal: AbortSignal.abort() }).next())")
    assert (refusal["name"], refusal["typed"]) == ("AbortError", False)
    assert host.run("({lm}) => lm.diagnostics()") == before


def _never_answered(_route: Route) -> None:
    return


def test_an_aborted_load_leaves_no_model(host: HostPage):
    host.page.route("**/models/storyteller-2m-f32.slm", _never_answered)
    refusal = host.run("""({lm, given, refused}) => {
      const control = new AbortController();
      const onProgress = ({ phase }) => phase === given && control.abort();
      return refused(() => lm.open({ model: "storyteller-2m-f32", signal: control.signal, onProgress }));
    }""", "Opening")
    host.page.unroute("**/models/storyteller-2m-f32.slm")
    assert refusal["name"] == "AbortError"
    assert host.run("({lm, refused}) => refused(() => lm.countTokens('a'))")["code"] == "ModelNotLoaded"
    assert host.run("({lm}) => lm.model") is None


def test_stop_ends_a_generation_with_what_there_is_and_leaving_the_loop_stops_it(host: HostPage):
    host.open(ENDLESS)
    reason, length, state = host.run("""async ({lm}) => {
      const generation = lm.generate("a", { max_tokens: 32000 });
      await generation.next();
      await lm.stop();
      const { finish_reason, text } = await generation.result;
      for await (const token of lm.generate("a", { max_tokens: 32000 })) break;
      return [finish_reason, text.length, (await lm.diagnostics()).state];
    }""")
    assert (reason, state) == ("cancelled", "context-ready")
    assert 1 <= length < 32000


def test_leaving_a_generation_that_has_ended_stops_no_other(host: HostPage):
    host.open(ENDLESS)
    reason, again = host.run("""async ({lm}) => {
      const first = lm.generate("a", { max_tokens: 8 });
      await first.result;
      const second = lm.generate("a", { max_tokens: 300 });
      for await (const token of first) break;
      return [(await second.result).finish_reason, await first.next()];
    }""")
    assert (reason, again["done"]) == ("length", True)


def test_tokens_can_be_asked_for_before_they_are_there(host: HostPage):
    host.open(ENDLESS)
    steps = host.run("""({lm}) => {
      const generation = lm.generate("a", { temperature: 0, max_tokens: 3 });
      return Promise.all([1, 2, 3, 4].map(() => generation.next()));
    }""")
    assert [step["value"]["text"] for step in steps[:3]] == ["b", "c", "d"]
    assert [step["done"] for step in steps] == [False, False, False, True]


def test_tokens_that_were_not_read_when_the_signal_is_aborted_are_dropped_though_all_were_made(host: HostPage):
    host.open(ENDLESS)
    name, text = host.run("""async ({lm, refused}) => {
      const control = new AbortController();
      const generation = lm.generate("a", { temperature: 0, max_tokens: 8, signal: control.signal });
      const { text } = await generation.result;
      await generation.next();
      control.abort();
      return [(await refused(() => generation.next())).name, text];
    }""")
    assert (name, text) == ("AbortError", "bcdefgha")


def test_an_error_of_who_watches_a_load_is_reported_and_stops_nothing(host: HostPage):
    said = host.run("""async ({lm, given, bytesOf}) => {
      await lm.open({ bytes: bytesOf(given), onProgress: () => { throw new Error("of the watcher's own"); } });
      return [lm.model, (await lm.generate("a", { temperature: 0, max_tokens: 3 }).result).text];
    }""", b64encode(ENDLESS).decode())
    assert said == ["scripted", "bcd"]
    assert host.errors
    assert all("of the watcher's own" in error for error in host.errors)
    host.errors.clear()


def test_a_file_that_was_changed_since_it_was_chosen_is_refused_by_name(host: HostPage, tmp_path: Path):
    chosen = tmp_path / "mine.slm"
    chosen.write_bytes(TALKER)
    host.page.evaluate("""() => {
      const input = Object.assign(document.createElement("input"), { type: "file" });
      document.body.replaceChildren(input);
    }""")
    host.page.set_input_files("input", chosen)
    assert host.page.evaluate("document.querySelector('input').files[0].size") == len(TALKER)
    chosen.write_bytes(TALKER + b"and more")
    refusal = host.run("({lm, refused}) => refused(() => lm.open({ bytes: document.querySelector('input').files[0] }))")
    assert (refusal["code"], refusal["typed"]) == ("FileUnreadable", True)
    assert refusal["message"].startswith("mine.slm could not be read")


def test_messages_may_be_a_framework_s_proxies(host: HostPage):
    host.open(TALKER)
    text = host.run("""async ({lm}) => {
      const reactive = (value) => new Proxy(value, {});
      return (await lm.chat(reactive([reactive({ role: "user", content: "hi" })]), { temperature: 0 }).result).text;
    }""")
    assert text == "helo"


def test_a_token_that_is_a_byte_order_mark_keeps_its_text_in_openai_s_shape(host: HostPage):
    host.open(token_model([b"\xef\xbb\xbf"], "marked", {"user_prefix": "U:", "assistant_prefix": "a"}))
    content, refusal = host.run("""async ({lm, refused}) => {
      const { OpenAI } = await import("/openai.js");
      const { create } = new OpenAI(lm).chat.completions;
      const said = { model: "marked", messages: [{ role: "user", content: "hi" }], temperature: 0, logprobs: true };
      const { content } = (await create(said)).choices[0].logprobs;
      await lm.free();
      return [content, await refused(() => create(said))];
    }""")
    assert [(entry["token"], entry["bytes"]) for entry in content] == [("\ufeff", [0xEF, 0xBB, 0xBF])]
    assert refusal["code"] == "ModelNotLoaded"


def test_a_conversation_is_answered_and_its_second_turn_reuses_the_first(host: HostPage):
    host.open(TALKER)
    first, second, reused, count = host.run("""async ({lm}) => {
      const turns = [{ role: "system", content: "be kind" }, { role: "user", content: "hi" }];
      const { text } = await lm.chat(turns, { temperature: 0 }).result;
      turns.push({ role: "assistant", content: text }, { role: "user", content: "and?" });
      const again = await lm.chat(turns, { temperature: 0 }).result;
      return [text, again.text, again.figures.reused_prompt_tokens, await lm.countTokens(turns)];
    }""")
    assert (first, second) == ("helo", "helo")
    prompt = "S:be kind.\nU:hi\nA>helo\nU:and?\nA>"
    assert (reused, count) == (prompt.index("and?"), 1 + len(prompt))  # the last token of an answer is not computed


def test_a_recorded_answer_is_replayed_to_the_same_end(host: HostPage):
    host.open(TALKER)
    receipt, verdict = host.run("""async ({lm}) => {
      const { receipt } = await lm.chat({ role: "user", content: "hi" }, { seed: 3, receipt: true }).result;
      return [receipt, await lm.replay(receipt)];
    }""")
    assert json.loads(receipt)["options"]["stop_strings"] == ["\nU:"]
    assert (verdict["outcome"], verdict["same_runtime"]) == ("same", True)


def test_what_is_no_conversation_is_refused(host: HostPage):
    host.open(TALKER)
    codes = host.run("""async ({lm, refused}) => {
      const said = { role: "user", content: "hi" };
      const attempts = [() => lm.tokenize(undefined), () => lm.chat("hi").next(), () => lm.countTokens([]),
        () => lm.chat([said, { role: "assistant", content: "ho" }]).next(), () => lm.chat({ role: "user" }).next(),
        () => lm.countTokens({ role: "user", content: NaN }), () => lm.chat({ role: "user", content: 5n }).next()];
      const codes = [];
      for (const attempt of attempts) codes.push((await refused(attempt)).code);
      return codes;
    }""")
    assert codes == ["UnusableMessages"] * 7


def test_adapters_are_looked_at_applied_and_taken_back(host: HostPage):
    base = model_file(random_file(config(n_layers=2, quantization=DType.Q8_0)))
    host.open(base.data)
    sound = package(base, PackageFormat.ALR1, matrices(base), scale=0.5)
    before, found, applied, counted, after = host.run("""async ({lm, given, bytesOf}) => {
      const say = async () => (await lm.generate("some words", { temperature: 0, max_tokens: 8 }).result).text;
      const before = await say();
      const found = await lm.validateAdapter(bytesOf(given));
      await lm.applyAdapter(bytesOf(given), { scale: 4 });
      const [applied, { adapter_apply_count }] = [await say(), await lm.diagnostics()];
      await lm.detachAdapters();
      return [before, found, applied, adapter_apply_count, await say()];
    }""", b64encode(sound).decode())
    assert (found["format"], found["entries"], found["package_bytes"]) == ("ALR1", len(matrices(base)), len(sound))
    assert (counted, applied != before, after) == (1, True, before)


def test_reset_forgets_the_context_free_the_model(host: HostPage):
    codes = host.run("""async ({lm, refused}) => {
      await lm.generate("a", { max_tokens: 2 }).result;
      const { index } = await lm.step();
      await lm.reset();
      const context = await refused(() => lm.step());
      await lm.free();
      return [index, context.code, (await refused(() => lm.countTokens("a"))).code, lm.model];
    }""")
    assert codes == [2, "NoContext", "ModelNotLoaded", None]


REFUSALS: dict[str, list[Any]] = {
    "UnknownOption": ["() => TinyPyLM.load({ model: 'x', treads: 2 })", "() => lm.open({ file: 'x' })",
                      "() => lm.generate('a', { temprature: 1 }).next()"],
    "SourceUnclear": ["() => TinyPyLM.load({})", "() => TinyPyLM.load({ model: 'x', url: 'y' })",
                      "() => lm.open({ model: 'x', sha256: '00' })"],
    "ThreadsOutOfRange": ["() => TinyPyLM.load({ model: 'x', threads: 5 })",
                          "() => TinyPyLM.load({ model: 'x', threads: 1.5 })"],
    "OptionOutOfRange": ["() => lm.generate('a', { top_p: 2 }).result",
                         "() => lm.generate('a', { seed: 1n << 64n }).next()",
                         "() => lm.generate('a', { top_logprobs: 21 }).next()",
                         "() => TinyPyLM.load({ url: 'http://[' })", "() => lm.open({ url: 'http://[' })",
                         "() => TinyPyLM.load({ model: 'x', base: 'http://[' })"],
    "EmptyPrompt": ["() => lm.generate('').next()", "() => lm.generate(null).next()"],
    "NoChatFormat": ["() => lm.chat({ role: 'user', content: 'hi' }).next()"],
    "EntryUnknown": ["() => lm.open({ model: 'nobody' })"],
    "TokenOutOfRange": ["() => lm.detokenize([1e9])"],
    "Busy": ["() => { const one = lm.generate('a'); return lm.generate('b').next().finally(() => one.return()); }"],
}


@pytest.mark.parametrize(("code", "source"), [(code, source) for code in REFUSALS for source in REFUSALS[code]])
def test_what_cannot_be_done_is_refused_by_a_typed_error(host: HostPage, code: str, source: str):
    refusal = host.run(f"({{TinyPyLM, lm, refused}}) => refused({source})")
    assert (refusal["code"], refusal["typed"], refusal["name"]) == (code, True, "TinyPyLMError"), refusal
    assert len(refusal["message"]) > 20


def test_the_options_that_are_named_are_those_of_the_method(host: HostPage):
    refusal = host.run("({lm, refused}) => refused(() => lm.open({ model: 'x', threads: 2 }))")
    assert refusal["message"].endswith("known are model, url, sha256, bytes, signal, onProgress.")


def test_a_registry_that_does_not_come_is_why_its_models_cannot_be_loaded(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        host.page.route("**/models/selector.registry", lambda route: route.fulfill(status=404))
        refusal = host.run("({TinyPyLM, refused}) => refused(() => TinyPyLM.load({ model: 'any' }))")
        assert (refusal["code"], refusal["detail"]["status"]) == ("FetchFailed", 404)
        assert "selector.registry" in refusal["message"]


def test_a_page_that_is_not_isolated_loads_with_one_thread_and_closes_for_good(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server, isolated=False)
        host.run("() => undefined")
        assert host.page.workers == []  # the import alone starts nothing
        loaded = host.run(LOAD, {"url": "/models/fixtures/tiny-test-model.slm", "threads": 2, "kvCache": "f16"})
        assert loaded["phases"][-1] == "Verifying and compiling"
        figures = host.run("({lm}) => lm.diagnostics()")
        assert (figures["threads"], figures["kv_cache"], figures["cross_origin_isolated"]) == (1, "f16", False)
        closed = host.run("""async ({lm, refused}) => {
          const running = lm.generate("a", { max_tokens: 60, temperature: 5 });
          const during = refused(() => running.result);
          for await (const token of running) {
            lm.close();
            break;
          }
          lm.close();
          const after = [await refused(() => lm.generate("a")), await refused(() => lm.step())];
          return [await during, ...after].map(({ code }) => code);
        }""")
        assert closed == ["Closed"] * 3
        host.waits_for_the_end_of_its_workers()
        assert host.errors == []


def test_a_load_can_be_aborted_while_python_starts(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        refusal = host.run("""({TinyPyLM, refused}) => {
          const control = new AbortController();
          return refused(() => TinyPyLM.load({
            model: "storyteller-2m-q8_0", signal: control.signal, onProgress: () => control.abort(),
          }));
        }""")
        assert refusal["name"] == "AbortError"
        host.waits_for_the_end_of_its_workers()
        assert host.errors == []


def test_a_load_can_be_aborted_while_its_modules_come(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        refusal = host.run("""({TinyPyLM, refused}) => {
          const control = new AbortController();
          const load = TinyPyLM.load({ model: "storyteller-2m-q8_0", signal: control.signal });
          control.abort();
          return refused(() => load);
        }""")
        assert refusal["name"] == "AbortError"
        host.waits_for_the_end_of_its_workers()
        assert host.errors == []


def test_python_and_models_come_from_the_base(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        refusal = host.run("({TinyPyLM, refused}) => refused(() => TinyPyLM.load({ base: '/nowhere/', model: 'x' }))")
        assert (refusal["code"], refusal["typed"]) == ("FetchFailed", True)
        assert refusal["detail"] == {"url": f"{server}nowhere/vendor/manifest.json", "status": 404}
        host.waits_for_the_end_of_its_workers()


def test_files_on_another_origin_are_refused_with_the_way_out(browser: Browser, server: str):
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        elsewhere = "https://elsewhere.example/"
        allowed = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
        root = MODELS.parent / "web"
        host.page.route(f"{elsewhere}*", lambda route: route.fulfill(
            path=root / route.request.url.removeprefix(elsewhere), content_type="text/javascript", headers=allowed))
        refusal = host.run("""async ({refused, given}) => {
          const { TinyPyLM } = await import(given);
          return refused(() => TinyPyLM.load({ model: "x" }));
        }""", f"{elsewhere}tinypylm.js")
        assert refusal["code"] == "ForeignOrigin"
        assert refusal["detail"] == {"found": elsewhere[:-1], "expected": server[:-1]}
        assert host.errors == []
