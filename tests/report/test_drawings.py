"""Row plots and lineage graphs as any reader of SVG sees them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tinypylm_tools.report.ancestry import Node, drawn, generations
from tinypylm_tools.report.markup import Markup, element, joined, plain
from tinypylm_tools.report.plots import Panel, RowPlot, Series, ticks


def parsed(markup: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(markup.text)


def test_text_is_escaped_and_only_markup_is_markup() -> None:
    made = element("p", "<b> & \"", joined([element("b", "x")]), class_='"><i>', text_anchor="end", x=0.25)
    assert made.text == (
        '<p class="&quot;&gt;&lt;i&gt;" text-anchor="end" x="0.2">&lt;b&gt; &amp; &quot;<b>x</b></p>')


@pytest.mark.parametrize("hidden", ["\x00", "\n", "\u202e", "\u200b", "\ud800", "\xad"])
def test_characters_that_are_not_seen_are_replaced(hidden: str) -> None:
    assert plain(f"a{hidden}b é") == "a\N{REPLACEMENT CHARACTER}b é"


def test_every_value_is_one_dot_and_equal_values_do_not_cover_each_other() -> None:
    panel = Panel("share", [Series("a", 0, [0.5, None]), Series("b", 5, [0.5, 1.0])], 0.0, 1.0)
    root = parsed(RowPlot("<title>", ["one", "two"], [panel]).svg())
    dots = [(dot.attrib["cx"], dot.attrib["cy"], dot.attrib["fill"]) for dot in root.iter("circle")]
    legend, values = dots[:2], dots[2:]
    assert len({height for _, height, _ in values}) == len(values) == 3
    assert values[0][0] == values[1][0] != values[2][0]
    assert [fill == "none" for _, _, fill in legend] == [False, True]
    assert root.attrib["aria-label"] == "<title>"


def test_all_dots_lie_inside_also_where_all_values_are_the_same() -> None:
    root = parsed(RowPlot("t", ["a", "b"], [Panel("p", [Series("s", 0, [3.0, 3.0])])] * 3).svg())
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    assert all(0 < float(dot.attrib["cx"]) < width and 0 < float(dot.attrib["cy"]) < height
               for dot in root.iter("circle"))


@pytest.mark.parametrize(("low", "high", "expected"), [
    (0, 1, [0, 0.5, 1]), (1.11, 1.89, [1.2, 1.4, 1.6, 1.8]), (-2, 2, [-2, -1, 0, 1, 2]),
    (0.9931, 1, [0.994, 0.996, 0.998, 1]), (0, 0.0003, [0, 0.0001, 0.0002, 0.0003])])
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_a_node_stands_below_everything_that_it_was_made_of() -> None:
    entry = Node("e", "entry", "2 attached", (("model", "m"), ("adapter", "a")))
    adapter = Node("a", "adapter", "ALR1", (("base", "m"), ("target", "t")))
    model, target = Node("m", "model", "import"), Node("t", "target <", "import")
    assert generations([entry, model, adapter, target]) == [[model, target], [adapter], [entry]]
    root = parsed(drawn([entry, model, adapter, target]))
    assert len(list(root.iter("path"))) == 4
    assert "target < t" in [title.text for title in root.iter("title")]


def test_records_that_cite_in_a_circle_are_drawn_all_the_same() -> None:
    one, other = Node("a", "a", "linear", (("parent", "b"),)), Node("b", "b", "linear", (("parent", "a"),))
    assert len(list(parsed(drawn([one, other])).iter("path"))) == 2
