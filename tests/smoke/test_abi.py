"""Whatever the worker is asked, it answers with a code of its own, and the next valid generation works."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.engines import Tab
from tests.session.scripted_model import scripted_model

pytestmark = [pytest.mark.browser, pytest.mark.engines]

Case = tuple[str, dict[str, Any], bytes | None, str]
GREEDY = {"temperature": 0, "max_tokens": 4}
MODEL = scripted_model(b"abcdefgh", context_length=4096, ends=False)

# Each request is [method, params, base64 or null]; its answer is a code, or "" where it was accepted.
START = """async () => {
  const { Client } = await import(`${location.origin}/client.js`);
  window.deaths = 0;
  window.client = new Client({ onBoot() {}, onDeath: () => void (window.deaths += 1) });
  const { parseManifest } = await import(`${location.origin}/runtime-manifest.js`);
  const manifest = await parseManifest(await (await fetch("/vendor/manifest.json")).arrayBuffer());
  await client.boot(new URL("/vendor/", location.href), manifest);
  window.ask = ([method, params, data]) => {
    const bytes = data === null ? [] : [Uint8Array.from(atob(data), (character) => character.charCodeAt(0)).buffer];
    return client.request(method, params, bytes).then((result) => ({ result }), ({ code }) => ({ code }));
  };
}"""
ASK = "(request) => ask(request)"
ASK_WHILE_GENERATING = """async (requests) => {
  const tokens = [];
  let codes;
  const accepted = () => void (codes = Promise.all(requests.map(ask)));
  const options = { temperature: 0, max_tokens: 4000 }; // several batches of 50 ms
  const { finish_reason } = await client.generate("a", options, { accepted, token: ({ text }) => tokens.push(text) });
  return [(await codes).map(({ code }) => code), tokens.join(""), finish_reason];
}"""


def request(method: str, params: dict[str, Any], data: bytes | None = None) -> list[Any]:
    return [method, params, None if data is None else b64encode(data).decode()]


def without_a_model() -> list[Case]:
    wrong_state = [(method, {}, None, "ModelNotLoaded") for method in ("step", "reset", "free")]
    return [
        *wrong_state,
        ("calibrate", {"seconds": 0.01}, None, "ModelNotLoaded"),
        ("network_rates", {"prompt_tokens": 1, "tokens": 1}, None, "ModelNotLoaded"),
        ("generate", {"prompt": "a", "options": GREEDY}, None, "ModelNotLoaded"),
        ("load", {}, b"", "TruncatedHeader"), ("load", {}, None, "TruncatedHeader"),
        ("load", {}, MODEL[:107], "TruncatedHeader"), ("load", {}, MODEL[:108], "FileSizeMismatch"),
        ("assemble", {"name": "x", "files": [], "sha256": "0" * 64}, MODEL, "FetchMissing"),
        ("detach_adapters", {}, None, "ModelNotLoaded"), ("apply_adapter", {}, b"", "ModelNotLoaded"),
        ("inspect", {}, b"", "TruncatedHeader"), ("inspect", {}, bytes(108), "BadMagic"),
        ("replay", {}, b"", "RecordNotCanonical"), ("replay", {}, None, "RecordNotCanonical"),
        ("boot", {}, None, "Busy"), ("no_such_method", {}, None, "UnknownMethod"),
    ]


def prompts() -> list[Case]:
    """Empty, null, of no length, of another type, and bytes that are not UTF-8 (RFC 3629 says why)."""
    empty = [("generate", {"prompt": prompt, "options": GREEDY}, None, "EmptyPrompt")
             for prompt in ("", None, 7, True, [], {"text": "a"})]
    not_utf8 = [b"\xff", b"a\x80", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"]
    return [
        *empty,
        ("generate", {"options": GREEDY}, None, "EmptyPrompt"), ("generate", {"options": GREEDY}, b"", "EmptyPrompt"),
        *[("generate", {"options": GREEDY}, data, "PromptNotUtf8") for data in not_utf8],
        ("generate", {"prompt": "x" * 4096, "options": GREEDY}, None, "ContextExceeded"),
    ]


def options() -> list[Case]:
    out_of_range: list[Any] = [None, [], "greedy", 7, *[{name: value} for name, values in {
        "temperature": (-1, 1e9, "hot", None, True, 1e-9), "top_k": (0, -1, 1025, 2.5, "4", None),
        "top_p": (0, -0.5, 1.5, None), "min_p": (-0.5, 1.5, []), "repetition_penalty": (0, 11, "x"),
        "seed": (-1, 1.5, str(2**64), "seven", None), "max_tokens": (0, -1, 1.5, None),
        "receipt": (1, "yes", None, []),
        "stop_strings": ("stop", [""], [7], ["x"] * 17, ["x" * 257], None),
    }.items() for value in values]]
    unknown: list[Any] = [{"topk": 4}, {"": 1}, {"__proto__x": 1}, {"\ud800": 1}]
    found = [(value, "OptionOutOfRange") for value in out_of_range] + [(value, "UnknownOption") for value in unknown]
    return [("generate", {"prompt": "a", "options": value}, None, code) for value, code in found]


class Worker:
    """A worker without a page: its answer to any message, a code or a result."""

    def __init__(self, tab: Tab):
        self.tab = tab
        tab.evaluate(START)

    def answer(self, method: str, params: dict[str, Any], data: bytes | None = None) -> dict[str, Any]:
        return self.tab.evaluate(ASK, request(method, params, data))

    def refuses(self, method: str, params: dict[str, Any], data: bytes | None, code: str) -> None:
        assert self.answer(method, params, data) == {"code": code}, (method, params, data)

    def generates(self) -> None:
        result = self.answer("generate", {"prompt": "a", "options": GREEDY})["result"]
        assert (result["finish_reason"], result["figures"]["generated_tokens"]) == ("length", 4)


def test_abi(new_tab: Callable[[], Tab], server: str):
    tab = new_tab()
    tab.open(f"{server}icon.svg")
    worker = Worker(tab)
    for case in without_a_model():
        worker.refuses(*case)
    assert "result" in worker.answer("load", {}, MODEL)
    worker.refuses("step", {}, None, "NoContext")
    assert worker.answer("stop", {})["result"] == {"stopped": False}
    for case in prompts() + options():
        worker.refuses(*case)
        worker.generates()
    odd_but_valid_prompts_are_read(worker)
    requests_in_between_are_refused(worker)
    assert tab.evaluate("deaths") == 0


def odd_but_valid_prompts_are_read(worker: Worker) -> None:
    for prompt in ("\0", "\ud800", "\u2028</script>", "a" * 4095):
        assert "result" in worker.answer("generate", {"prompt": prompt, "options": {"max_tokens": 1}})
    in_utf8 = worker.answer("generate", {"options": GREEDY}, "aé😀".encode())["result"]["figures"]
    assert in_utf8["prompt_tokens"] == 1 + len("aé😀".encode())


def requests_in_between_are_refused(worker: Worker) -> None:
    busy = [request(method, {"prompt": "b", "options": GREEDY}) for method in ("generate", "step", "reset", "free")]
    busy.append(request("load", {}, MODEL))
    codes, text, reason = worker.tab.evaluate(ASK_WHILE_GENERATING, busy)
    assert codes == ["Busy"] * len(busy)
    assert (text, reason) == ("bcdefgha" * 500, "length")
