"""What Python writes is what the page's JSON.parse reads, and what a model writes stays text, whatever it writes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.session.scripted_model import token_model
from tests.web.desk import Desk
from tests.web.hostile_texts import HOSTILE, texts

pytestmark = pytest.mark.browser

ATTACKS = [
    b'<img src=x onerror="window.attacked=1">', b"</script><script>window.attacked=2</script>",
    b"<svg onload=window.attacked=3>", b'<iframe srcdoc="<script>parent.attacked=4</script>">', b"<!--", b"]]>",
    b'"}\n{"event":"token"}', b'\\"', b"\\u0022", "\u2028\u2029".encode(), b"\0\x01\x1b\x7f\xc2\x85", b"\r\n",
    b"\xed\xa0\x80", b"\xff\xfe", "\u202e".encode(), b"&lt;b&gt;", b"javascript:attacked", b"{{x}}", b"`${1}`",
]
NAME = '<img src=x onerror="window.attacked=5">'

READ_BACK = """
import json
from js import JSON
from tinypylm.telemetry import encode
value = json.loads({value!r})
JSON.stringify(JSON.parse(encode(value))) == JSON.stringify(JSON.parse({value!r}))
"""

REFUSED_OPTIONS = """async (names) => {
  const codes = [];
  for (const name of names) {
    const error = await tinypylm.generate("a", {[name]: 1}).next().catch((error) => error);
    codes.push([error.code, typeof error.message, typeof error.detail.option]);
  }
  return codes;
}"""


@settings(max_examples=100)
@given(st.lists(st.dictionaries(texts(), texts() | st.floats(allow_nan=False, allow_infinity=False), max_size=3)))
def test_json_parse_in_the_page_reads_what_python_in_the_page_wrote(python: Callable[[str], bool], value: object):
    assert python(READ_BACK.format(value=json.dumps(value)))


def test_every_hostile_text_goes_through_the_page_and_comes_back_as_a_refusal_of_its_own(writer: Desk):
    names = [text for text in HOSTILE if text]
    assert writer.page.evaluate(REFUSED_OPTIONS, names) == [["UnknownOption", "string", "string"]] * len(names)
    assert writer.state == "model-ready"


def test_a_model_whose_tokens_are_markup_writes_text(desk: Desk):
    text = b"".join(ATTACKS).decode("utf-8", "replace")
    desk.open_file(f"{NAME}.slm", token_model(ATTACKS, NAME))
    assert f"{NAME}.slm" in (desk.element("status").text_content() or "")
    desk.generate("a", temperature=0, max_tokens=60)
    assert desk.transcript == "a" + text
    assert desk.figure("generated_tokens") == str(len(ATTACKS) + 1)
    assert desk.figure("model_id") == NAME
    tags = desk.page.locator("#transcript *, #status *").evaluate_all("all => all.map((element) => element.tagName)")
    assert set(tags) == {"P", "SPAN", "BUTTON"}
    assert desk.page.evaluate("window.attacked ?? 'no'") == "no"
    assert "".join(token["text"] for token in desk.tokens("a", temperature=0)) == text
