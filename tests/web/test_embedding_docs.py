"""docs/embedding.md and the types name every member and option of the embedding, and nothing but."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from tinypylm.options import SamplingOptions

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "embedding.md").read_text("utf-8")
TYPES = (ROOT / "web" / "tinypylm.d.ts").read_text("utf-8")
CODE = (ROOT / "web" / "embedded-model.js").read_text("utf-8")


def first_column(title: str) -> list[str]:
    section = re.split(rf"\n##+ {re.escape(title)}\n", DOCUMENT)[1].split("\n#")[0]
    return re.findall(r"`(\w+)(?:\(.*?\))?`", " ".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))


def members(text: str) -> set[str]:
    """Of class TinyPyLM, public ones."""
    body = re.split(r"^export class TinyPyLM \{$", text, flags=re.MULTILINE)[1].split("\n}")[0]
    return set(re.findall(r"^  (?:static |async |get )*([a-zA-Z]\w*)\(", body, re.MULTILINE)) - {"constructor"}


def test_every_member_is_documented_and_typed():
    documented = {*first_column("Members"), "load"}
    assert members(CODE) == members(TYPES) == documented


def test_every_option_of_a_generation_is_documented_with_its_default():
    own = ["top_logprobs", "receipt", "signal"]
    assert first_column("Options of `generate` and `chat`") == [field.name for field in fields(SamplingOptions)] + own
    for field in fields(SamplingOptions):
        if field.name != "stop_strings":
            assert f"| `{field.name}` | {field.default:g} |" in DOCUMENT
    typed = TYPES.split("interface GenerateOptions {")[1].split("\n}")[0]
    assert re.findall(r"^  (\w+)\?:", typed, re.MULTILINE) == first_column("Options of `generate` and `chat`")


def test_every_option_of_a_load_is_documented():
    opening, loading = (re.findall(r'"(\w+)"', CODE.split(f"const {name} = ")[1].split(";")[0])
                        for name in ("OPEN_OPTIONS", "LOAD_OPTIONS"))
    assert sorted(first_column("`TinyPyLM.load(options)`")) == sorted(opening + loading)
    (told,) = [line for line in DOCUMENT.splitlines() if line.startswith("| `open(options)`")]
    assert sorted(re.findall(r"`(\w+)`", told)) == sorted(opening)


def test_every_option_of_a_completion_is_documented_and_typed():
    code = (ROOT / "web" / "chat-completions.js").read_text("utf-8")
    sampling, implemented = (re.findall(r'"(\w+)"', code.split(f"const {name} = ")[1].split(";")[0])
                             for name in ("SAMPLING", "IMPLEMENTED"))
    penalties = {"presence_penalty", "frequency_penalty"}
    known = {*sampling, *implemented} | penalties
    assert set(first_column("OpenAI's shape")) == known
    types = (ROOT / "web" / "openai.d.ts").read_text("utf-8")
    request = types.split("interface ChatCompletionRequest {")[1].split("\n}")[0]
    assert set(re.findall(r"^  (\w+)\??:", request, re.MULTILINE)) == known
