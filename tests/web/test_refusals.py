"""What the page does with bad input: it names the rule, says what to try, and stays usable."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route

from tests.web.desk import STORYTELLER, Desk

pytestmark = pytest.mark.browser

MODEL = "**/models/*.slm"


@pytest.fixture(scope="module")
def storyteller(repo_root: Path) -> bytes:
    return (repo_root / "models" / f"{STORYTELLER}.slm").read_bytes()


def served(desk: Desk, data: bytes) -> None:
    """Whatever model is asked for, `data` comes."""
    desk.page.route(MODEL, lambda route: route.fulfill(body=data, content_type="application/octet-stream"))


@pytest.mark.parametrize(
    ("control", "value"),
    [
        ("top-k", "1025"), ("top-k", "0"), ("top-k", "2.5"), ("temperature", "-1"), ("top-p", "0"), ("min-p", "1.5"),
        ("repetition-penalty", "0"), ("seed", "18446744073709551616"), ("seed", "seven"), ("max-tokens", ""),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(writer: Desk, control: str, value: str):
    writer.write("The cat", **{control: value})
    writer.press("generate")
    writer.shows("OptionOutOfRange")
    writer.reaches("model-ready")
    assert control.replace("-", "_") in writer.notice
    assert writer.transcript == ""


def test_an_unknown_option_is_refused_with_the_nearest_name(writer: Desk):
    refusal = writer.refused("generate", "The cat", {"topk": 4})
    assert refusal["code"] == "UnknownOption"
    assert refusal["detail"]["nearest"] == "top_k"


def test_a_number_that_json_cannot_hold_is_refused_as_what_it_is(writer: Desk):
    message = writer.page.evaluate(
        "() => tinypylm.generate('a', {temperature: NaN}).next().then(() => '', (error) => error.message)"
    )
    assert "NaN" in message


def test_the_largest_seed_is_not_rounded(writer: Desk):
    by_text = writer.tokens("The cat", seed=str(2**64 - 1), max_tokens=8)
    by_bigint = writer.page.evaluate("""async () => {
      const tokens = [];
      for await (const token of tinypylm.generate("The cat", {seed: 2n ** 64n - 1n, max_tokens: 8})) tokens.push(token);
      return tokens;
    }""")
    assert by_bigint == by_text


def test_an_empty_prompt_is_refused(writer: Desk):
    writer.write("")
    writer.press("generate")
    writer.shows("EmptyPrompt")
    assert writer.state == "model-ready"


def test_a_prompt_beyond_the_context_names_the_counts_and_changes_nothing(writer: Desk):
    writer.generate("The cat", max_tokens=5)
    before = writer.transcript
    writer.write("word " * 600)
    writer.press("generate")
    writer.shows("ContextExceeded")
    writer.reaches("context-ready")
    assert "512" in writer.notice
    assert writer.transcript == before
    writer.generate("The dog", max_tokens=5)
    assert writer.code == ""
    assert writer.transcript.startswith(before)


def test_two_requests_at_once_are_refused_not_interleaved(writer: Desk):
    codes = writer.page.evaluate("""async () => {
      const first = tinypylm.generate("The cat", {max_tokens: 20});
      const second = tinypylm.generate("The dog", {});
      const refused = await second.next().then(() => "", (error) => error.code);
      let tokens = 0;
      for await (const token of first) tokens += 1;
      return [refused, tokens];
    }""")
    assert codes == ["Busy", 20]


def test_an_altered_model_is_refused_and_the_page_lives(desk: Desk, storyteller: bytes):
    desk.choose("storyteller-2m-q4_0")
    served(desk, storyteller[:-1] + bytes([storyteller[-1] ^ 1]))
    desk.element("model-select").select_option(STORYTELLER)
    desk.reaches("model-rejected")
    assert desk.code == "DigestMismatch"
    assert desk.figure("linear_memory_bytes") == ""  # the previous model is freed
    desk.page.unroute_all()
    desk.choose(STORYTELLER)
    assert (desk.state, desk.code) == ("model-ready", "")


def test_a_download_that_ends_early_is_refused(desk: Desk, storyteller: bytes):
    served(desk, storyteller[:-1])
    desk.choose()
    assert (desk.state, desk.code) == ("model-rejected", "FetchTruncated")


def test_a_download_longer_than_declared_is_stopped(desk: Desk, storyteller: bytes):
    served(desk, storyteller + b"\0")
    desk.choose()
    assert (desk.state, desk.code) == ("model-rejected", "FetchOverrun")


def test_a_header_that_asks_for_too_much_ends_the_download(desk: Desk, storyteller: bytes):
    header = bytearray(storyteller)
    header[48:52] = (131_072).to_bytes(4, "little")
    served(desk, bytes(header))
    desk.choose()
    assert (desk.state, desk.code) == ("model-rejected", "MemoryOverBudget")
    *_, digest, outcome = desk.page.locator("#fetches tbody tr").last.locator("td").all_inner_texts()
    assert (digest, outcome) == ("", "MemoryOverBudget")


def test_a_model_that_is_not_there_is_reported(desk: Desk):
    desk.page.route(MODEL, lambda route: route.fulfill(status=404, body="not found"))
    desk.choose()
    assert (desk.state, desk.code) == ("model-rejected", "FetchFailed")
    desk.errors = [error for error in desk.errors if "404" not in error]


def test_stop_cancels_a_download(desk: Desk):
    waiting: list[Route] = []
    desk.page.route(MODEL, lambda route: waiting.append(route))  # noqa: PLW0108 - it marks its handler, list.append can't be
    desk.element("model-select").select_option(STORYTELLER)
    desk.reaches("loading")
    assert desk.enabled() == {"stop"}
    desk.press("stop")
    desk.reaches("ready")
    for route in waiting:
        route.abort()
    desk.errors.clear()


HOLD_DIGESTS = """() => {
  const digest = crypto.subtle.digest.bind(crypto.subtle);
  const asked = Promise.withResolvers(), released = Promise.withResolvers();
  crypto.subtle.digest = async (...args) => (asked.resolve(), await released.promise, digest(...args));
  window.digests = {asked: asked.promise, release: () => (crypto.subtle.digest = digest, released.resolve())};
}"""


def test_a_stop_while_the_plan_is_hashed_ends_the_load(desk: Desk):
    desk.page.evaluate(HOLD_DIGESTS)
    desk.requests.clear()
    desk.element("model-select").select_option(STORYTELLER)
    desk.page.evaluate("digests.asked")
    desk.press("stop")
    desk.page.evaluate("digests.release()")
    desk.reaches("ready")
    assert [url.rsplit("/", 1)[1] for url in desk.requests] == ["plan.json"]


def test_a_local_file_that_is_no_model_is_refused_by_its_header(desk: Desk):
    desk.open_file("notes.slm", b"Dear diary, " * 40)
    assert (desk.state, desk.code) == ("model-rejected", "BadMagic")


def test_an_altered_local_file_is_refused_by_its_checksum(desk: Desk, storyteller: bytes):
    desk.open_file("altered.slm", storyteller[:-1] + bytes([storyteller[-1] ^ 1]))
    assert (desk.state, desk.code) == ("model-rejected", "ChecksumMismatch")


def test_a_model_that_the_registry_does_not_know_is_refused(desk: Desk):
    refusal = desk.refused("load", "no-such-model")
    assert refusal["code"] == "EntryUnknown"
    assert desk.state == "ready"


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        ("r.version = 2", "RecordVersion", "version"),
        ("r.models = {}", "RecordValue", "models"),
        ("r.models[0].file = '../secret.slm'", "PathOutsideModels", "models[0].file"),
        ("r.models[1].bytes = 0", "RecordValue", "models[1].bytes"),
        ("r.models[0].sha256 = 'ABC'", "RecordValue", "models[0].sha256"),
        ("delete r.ledger", "RecordMissingKey", "ledger"),
    ],
)
def test_a_registry_that_breaks_a_rule_is_refused_with_the_place(desk: Desk, change: str, code: str, names: str):
    message = desk.page.evaluate(f"""async () => {{
      const {{parseRegistry}} = await import("/registry.js");
      const {{canonicalText}} = await import("/canonical.js");
      const r = await (await fetch("models/selector.registry")).json();
      {change};
      const bytes = new TextEncoder().encode(canonicalText(r)).buffer;
      try {{ parseRegistry(bytes); }} catch (error) {{ return error.code + ": " + error.message; }}
    }}""")
    assert message.startswith(code)
    assert names in message
