"""`telemetry.encode`: whatever texts are in an answer, JSON readers and HTML readers find exactly them again."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.hostile_texts import HOSTILE, texts
from tinypylm.telemetry import encode

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | texts(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(), inner, max_size=4),
    max_leaves=12,
)


class Scripts(HTMLParser):
    """What an HTML reader takes for elements, and for the text of a script."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.inside += data


@given(VALUES)
def test_what_json_reads_is_what_was_written(value: object):
    assert json.loads(encode(value)) == value


@given(VALUES)
def test_only_printable_ascii_without_the_characters_of_markup_is_written(value: object):
    text = encode(value)
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set("<>&")


@given(VALUES)
def test_inside_a_script_element_it_ends_nothing_and_starts_nothing(value: object):
    page = Scripts(f'<script type="application/json">{encode(value)}</script>')
    assert page.tags == ["script"]
    assert json.loads(page.inside) == value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\0", r'"\u0000"'), ("\x1f", r'"\u001f"'), ("\n", r'"\n"'), ("\x7f", r'"\u007f"'), ("\x85", r'"\u0085"'),
        ('"', r'"\""'), ("\\", r'"\\"'), ("\u2028\u2029", r'"\u2028\u2029"'), ("\ud800", r'"\ud800"'),
        ("</script>", r'"\u003c/script\u003e"'), ("&amp;", r'"\u0026amp;"'),
        ("😀", r'"\ud83d\ude00"'), ("aÿ", r'"a\u00ff"'),
    ],
)
def test_each_character_has_one_way_to_be_written(text: str, written: str):
    assert encode(text) == written


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_that_break_other_encoders_come_back(text: str):
    assert json.loads(encode({text: [text]})) == {text: [text]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused(value: float):
    with pytest.raises(ValueError, match="Out of range float"):
        encode({"rate": value})
