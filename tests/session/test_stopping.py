"""Stop strings in a stream: the text that comes out depends on the text that goes in, not on its pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.stopping import StopStrings


def streamed(pieces, stop_strings):
    """What comes out piece by piece, up to the stop or with the end flushed."""
    stops = StopStrings(stop_strings)
    given_out = []
    for piece in pieces:
        text, stopped = stops.push(piece)
        given_out.append(text)
        if stopped:
            return given_out, True
    return [*given_out, stops.finish()], False


def first_completed(text, stop_strings):
    """Where the text is cut, by definition: try every end, longest stop string first."""
    for end in range(1, len(text) + 1):
        starts = [end - len(stop) for stop in stop_strings if text[:end].endswith(stop)]
        if starts:
            return min(starts)
    return None


@pytest.mark.parametrize(
    ("pieces", "stop_strings", "expected"),
    [
        (["one END two"], ("END",), ["one "]),
        (["one E", "N", "D two"], ("END",), ["one ", "", ""]),
        (["one E", "Nd"], ("END",), ["one ", "ENd", ""]),
        (["aab", "ab"], ("abab",), ["a", ""]),
        (["aaa", "aab"], ("aab",), ["a", "aa"]),
        (["ab", "c", "d"], ("abcd", "bc"), ["", "a"]),
        (["tail E"], ("END",), ["tail ", "E"]),
        (["END"], ("END",), [""]),
        (["no stop"], ("X",), ["no stop", ""]),
    ],
)
def test_text_is_held_back_only_while_it_may_become_a_stop_string(pieces, stop_strings, expected):
    assert streamed(pieces, stop_strings)[0] == expected


@given(
    pieces=st.lists(st.text("abc", max_size=4), max_size=12),
    stop_strings=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple),
)
def test_the_text_ends_before_the_stop_string_that_is_completed_first(pieces, stop_strings):
    text = "".join(pieces)
    cut = first_completed(text, stop_strings)
    given_out, stopped = streamed(pieces, stop_strings)
    assert stopped == (cut is not None)
    assert "".join(given_out) == text[:cut]
    assert not any(stop in "".join(given_out) for stop in stop_strings)
