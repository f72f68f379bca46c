"""chat.completions.create over a model: OpenAI's shapes, each option by its effect, the rest refused by name."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from playwright.sync_api import Browser

from tests.session.scripted_model import bigram_model
from tests.web.host_page import HostPage

pytestmark = pytest.mark.browser

# After any token each letter has its logit; everything else is out of reach.
LETTERS = "abcdefgh"
LOGITS = np.array([4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5])
CHAT = {"user_prefix": "U:", "user_suffix": "\n", "assistant_prefix": "A:", "assistant_suffix": "\n"}
MESSAGES = [{"role": "user", "content": "hi"}]
TOKENS = 900

CREATE = """async ({given}) => {
  const made = await client.chat.completions.create(given);
  if (!given.stream) return made;
  const chunks = [];
  for await (const chunk of made) chunks.push(chunk);
  return chunks;
}"""


class Client:
    """A page that has the model behind OpenAI's shape."""

    def __init__(self, host: HostPage):
        self.host = host

    def create(self, **body: Any) -> Any:
        return self.host.run(CREATE, {"messages": MESSAGES, "max_tokens": 8, **body})

    def text(self, **body: Any) -> str:
        return str(self.create(**body)["choices"][0]["message"]["content"])

    def refusal(self, **body: Any) -> dict[str, Any]:
        source = CREATE.replace("({given})", "()")
        return self.host.run(f"({{given, refused}}) => refused({source})", {"messages": MESSAGES, **body})


@pytest.fixture(scope="module")
def client(browser: Browser, server: str) -> Iterator[Client]:
    row = np.full(259, -20.0, np.float32)
    row[[ord(letter) for letter in LETTERS]] = LOGITS
    model = bigram_model(np.tile(row, (259, 1)), context_length=2048, chat=CHAT)
    with browser.new_context() as context:
        host = HostPage(context.new_page(), server)
        host.run("""async ({TinyPyLM, given, bytesOf}) => {
          window.lm = await TinyPyLM.load({ bytes: bytesOf(given), threads: 1 });
          const { OpenAI } = await import("/openai.js");
          window.client = new OpenAI(lm);
        }""", b64encode(model).decode())
        yield Client(host)
        assert host.errors == []


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def kept(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, softmax(LOGITS), 0) / softmax(LOGITS)[mask].sum()


def fits(text: str, probabilities: np.ndarray) -> bool:
    """Pearson's test of the letters against a distribution; a sound sample fails it once in a thousand."""
    counts = Counter(text)
    assert set(counts) <= set(LETTERS)
    found = np.array([counts[letter] for letter in LETTERS])
    if found[probabilities == 0].any():
        return False
    expected = probabilities[probabilities > 0] * len(text)
    statistic = ((found[probabilities > 0] - expected) ** 2 / expected).sum()
    # The 99.9 % quantile of chi-squared, by Wilson and Hilferty's approximation.
    freedom = max(1, len(expected) - 1)
    return bool(statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3)


PLAIN = softmax(LOGITS)


DISTRIBUTIONS = [
    ({"temperature": 2}, softmax(LOGITS / 2)),
    ({"temperature": 0.5}, softmax(LOGITS / 0.5)),
    ({"temperature": 0}, np.eye(8)[0]),
    ({"top_k": 3}, kept(np.arange(8) < 3)),
    ({"top_p": 0.7}, kept(np.cumsum(PLAIN) - PLAIN < 0.7)),
    ({"min_p": 0.2}, kept(PLAIN / PLAIN[0] >= 0.2)),
    ({"repetition_penalty": 3}, softmax(LOGITS / 3)),
]


@pytest.mark.parametrize(("options", "expected"), DISTRIBUTIONS, ids=[str(options) for options, _ in DISTRIBUTIONS])
def test_an_option_of_the_distribution_gives_that_distribution(
    client: Client, options: dict[str, float], expected: np.ndarray
):
    body = {"temperature": 1, "seed": 7, "max_tokens": TOKENS}
    text = client.text(**body | options)[100:]  # by then every letter has been seen, for the penalty
    assert fits(text, expected)
    assert not fits(text, PLAIN)
    assert fits(client.text(**body)[100:], PLAIN)


def test_the_same_seed_gives_the_same_text_and_another_one_another(client: Client):
    texts = [client.text(seed=seed, max_tokens=40) for seed in (1, 1, 2, "18446744073709551615")]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_text_ends_after_so_many_tokens(client: Client, name: str):
    made = client.create(**{"max_tokens": None, name: 5})
    assert made["choices"][0]["finish_reason"] == "length"
    assert (len(made["choices"][0]["message"]["content"]), made["usage"]["completion_tokens"]) == (5, 5)


@pytest.mark.parametrize("stop", ["c", ["zz", "c"]])
def test_a_text_ends_before_a_stop_string(client: Client, stop: object):
    whole = client.text(seed=3, max_tokens=60)
    made = client.create(seed=3, max_tokens=60, stop=stop)["choices"][0]
    assert (made["message"]["content"], made["finish_reason"]) == (whole[: whole.index("c")], "stop")


def test_log_probabilities_are_those_of_the_model_whatever_the_sampling(client: Client):
    made = client.create(temperature=3, logprobs=True, top_logprobs=3, seed=1)["choices"][0]
    expected = dict(zip(LETTERS, np.log(PLAIN), strict=True))
    content = made["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == made["message"]["content"]
    for entry in content:
        assert entry["logprob"] == pytest.approx(expected[entry["token"]], abs=1e-4)
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert [other["token"] for other in entry["top_logprobs"]] == ["a", "b", "c"]
        assert [other["logprob"] for other in entry["top_logprobs"]] == pytest.approx(
            [expected[letter] for letter in "abc"], abs=1e-4)
    plain = client.create(temperature=3, logprobs=True, seed=1)["choices"][0]
    assert [entry["top_logprobs"] for entry in plain["logprobs"]["content"]] == [[]] * 8
    assert client.create()["choices"][0]["logprobs"] is None


def test_an_answer_has_openai_s_shape(client: Client):
    made = client.create(logprobs=True, top_logprobs=2, model="scripted", n=1, presence_penalty=0, user=None)
    assert ChatCompletion.model_validate(made, strict=True).choices[0].message.content
    assert made.keys() == {"id", "object", "created", "model", "choices", "usage"}
    assert made["model"] == "scripted"
    usage = made["usage"]
    assert usage["prompt_tokens"] == 1 + len("U:hi\nA:")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_chunks_have_openai_s_shape_and_the_whole_answer_s_text(client: Client):
    body = {"seed": 4, "max_tokens": 20, "logprobs": True, "top_logprobs": 1}
    whole = client.create(**body)
    chunks = client.create(**body, stream=True, stream_options={"include_usage": True})
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    *said, last = chunks
    deltas = [chunk["choices"][0]["delta"] for chunk in said]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[-1] == {}
    assert "".join(delta.get("content", "") for delta in deltas) == whole["choices"][0]["message"]["content"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in said] == [None] * (len(said) - 1) + ["length"]
    told = [entry for chunk in said[1:-1] for entry in chunk["choices"][0]["logprobs"]["content"]]
    assert told == whole["choices"][0]["logprobs"]["content"]
    assert (last["choices"], {chunk["usage"] is None for chunk in said}) == ([], {True})
    assert last["usage"]["completion_tokens"] == 20
    assert "usage" not in client.create(stream=True)[0]


def test_an_answer_comes_back_as_a_message_and_what_was_computed_is_taken_over(client: Client):
    first = client.create(seed=1)
    answer = first["choices"][0]["message"]
    second = client.create(messages=[*MESSAGES, answer, *MESSAGES])
    fed = first["usage"]["total_tokens"] - 1  # the last token was chosen and not yet read
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] == fed
    assert second["usage"]["prompt_tokens"] == 1 + len("U:hi\nA:") + len(answer["content"]) + len("\nU:hi\nA:")


def test_a_stream_is_aborted_by_its_controller_a_signal_or_by_leaving_it(client: Client):
    outcomes = client.host.run("""async ({given, refused}) => {
      const { create } = client.chat.completions;
      const ended = async (stream, act) => {
        let count = 0;
        const { name } = await refused(async () => {
          for await (const chunk of stream) {
            if (++count === 3 && act(stream)) break;
          }
        });
        return name ?? "left";
      };
      const control = new AbortController();
      return [
        await ended(await create(given), (stream) => void stream.controller.abort()),
        await ended(await create(given, { signal: control.signal }), () => void control.abort()),
        await ended(await create(given), () => true),
        await (async () => {
          for await (const { choices } of await create(given)) return choices[0].delta.role;
        })(),
        (await refused(() => create(given, { signal: AbortSignal.abort() }))).name,
        (await create({ ...given, stream: false, max_tokens: 3 })).usage.completion_tokens,
      ];
    }""", {"messages": MESSAGES, "max_tokens": 2000, "stream": True})
    assert outcomes == ["AbortError", "AbortError", "left", "assistant", "AbortError", 3]


def test_a_stream_that_is_stopped_gives_out_what_a_stop_string_held_back(client: Client):
    text, whole = client.host.run("""async ({lm, given}) => {
      const stream = await client.chat.completions.create(given);
      await lm.stop();
      let text = "";
      for await (const { choices } of stream) text += choices[0].delta.content ?? "";
      return [text, (await lm.diagnostics()).generated_tokens];
    }""", {"messages": MESSAGES, "max_tokens": 200, "temperature": 0, "stop": 201 * "a", "stream": True})
    assert text == whole * "a" != ""


def test_terms_of_a_request_other_than_its_signal_are_refused_by_name(client: Client):
    refusal = client.host.run("""({given, refused}) => (
      refused(() => client.chat.completions.create(given, { timeout: 9 })))""", {"messages": MESSAGES})
    assert (refusal["code"], refusal["detail"]) == ("OptionNotImplemented", {"option": "timeout", "nearest": "signal"})

@pytest.mark.parametrize(("option", "value", "nearest"), [
    ("presence_penalty", 0.5, "repetition_penalty"), ("frequency_penalty", -1, "repetition_penalty"),
    ("logit_bias", {"1": 2}, "top_k"), ("response_format", {"type": "json_object"}, "stop"), ("tools", [], "messages"),
    ("temprature", 1, "temperature"), ("max_token", 3, "max_tokens"), ("service_tier", "auto", None),
    ("user", "me", None),
])
def test_an_option_that_is_not_implemented_is_refused_by_name(
    client: Client, option: str, value: object, nearest: str | None
):
    refusal = client.refusal(**{option: value})
    assert (refusal["code"], refusal["typed"]) == ("OptionNotImplemented", True)
    assert refusal["detail"] == {"option": option, "nearest": nearest}
    assert refusal["message"].startswith(f"{option} is not implemented here; ")


@pytest.mark.parametrize(("option", "body"), [
    ("n", {"n": 2}), ("model", {"model": "gpt-4o"}), ("top_logprobs", {"top_logprobs": 2}),
    ("logprobs", {"logprobs": 1}), ("stream", {"stream": "yes"}), ("messages", {"messages": "hi"}),
    ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
    ("stream_options", {"stream_options": {"include_usage": True}}), ("temperature", {"temperature": -1}),
    ("max_tokens", {"max_tokens": 1, "max_completion_tokens": 2}), ("stop_strings", {"stop": [""]}),
    ("stream_options.include_usage", {"stream": True, "stream_options": {"include_usage": "yes"}}),
    ("seed", {"seed": -1}), ("top_p", {"top_p": 0, "stream": True}),
])
def test_a_value_outside_its_range_is_refused_by_name(client: Client, option: str, body: dict[str, object]):
    refusal = client.refusal(**body)
    assert (refusal["code"], refusal["detail"]["option"]) == ("OptionOutOfRange", option)


@pytest.mark.parametrize(("body", "code"), [
    ({"messages": []}, "UnusableMessages"), ({"messages": [{"role": "tool", "content": "x"}]}, "UnusableMessages"),
    ({"messages": [{"role": "system", "content": "x"}, *MESSAGES]}, "UnusableMessages"),
    ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "OptionNotImplemented"),
    ({"stream": True, "stream_options": {"other": 1}}, "OptionNotImplemented"),
    ({"messages": [{"role": "user", "content": 3000 * "x"}]}, "ContextExceeded"),
])
def test_messages_that_the_model_cannot_be_told_are_refused(client: Client, body: dict[str, object], code: str):
    assert client.refusal(**body)["code"] == code
