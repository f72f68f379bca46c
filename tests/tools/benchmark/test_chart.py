"""Charts as any reader of SVG sees them."""

from __future__ import annotations

from xml.etree import ElementTree

from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.benchmark.comparison import Comparison, Sample
from tinypylm_tools.benchmark.curves import scaling

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**lines: list[tuple[float, float]]) -> ElementTree.Element:
    return ElementTree.fromstring(Chart("A & B <1 thread>", "position", "tok/s", lines).svg())


def points(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    lines = (line.attrib["points"].split() for line in root.iter(f"{SVG}polyline"))
    return [[(float(point.split(",")[0]), float(point.split(",")[1])) for point in line] for line in lines]


def texts(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {str(text.text): text for text in root.iter(f"{SVG}text")}


def test_a_chart_is_well_formed_and_says_what_it_shows() -> None:
    shown = texts(drawn(ours=[(0, 900), (256, 800)], theirs=[(0, 100), (256, 90)]))
    assert {"A & B <1 thread>", "position", "tok/s", "ours", "theirs", "1,000", "50", "256"} <= set(shown)


def test_every_point_lies_inside() -> None:
    root = drawn(ours=[(16, 1000), (256, 0.07)], theirs=[(0, 2), (200, 2)])
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    for line in points(root):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in line)


def test_a_factor_has_one_height_wherever_it_stands() -> None:
    (first, second), (third, fourth) = points(drawn(slow=[(0, 10), (1, 20)], fast=[(0, 400), (1, 800)]))
    assert round(first[1] - second[1], 0) == round(third[1] - fourth[1], 0) > 0


def test_a_line_that_is_level_is_drawn() -> None:
    assert len(points(drawn(ours=[(0, 100), (10, 100)]))[0]) == 2


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    shown = texts(drawn(a=[(0, 100), (1, 100)], b=[(0, 101), (1, 101)], c=[(0, 1), (1, 1)]))
    assert abs(float(shown["a"].attrib["y"]) - float(shown["b"].attrib["y"])) >= 16


def test_scaling_shows_engines_that_were_measured_with_several_numbers_of_threads() -> None:
    both = Comparison("A", "q8_0", 1, 1600.0, [{"ours": sample(400.0), "3.8.1": sample(50.0)}], [])
    peer = Comparison("A", "q8_0", 2, None, [{"3.8.1": sample(70.0)}, {"3.8.1": sample(90.0)}], [])
    assert scaling("A q8_0", [peer, both]).lines == {"3.8.1": [(1.0, 50.0), (2.0, 80.0)]}


def sample(rate: float) -> Sample:
    return Sample(rate, rate, rate, 1.0, None)
