"""A page as a browser's parser sees it: elements that must balance, attributes, tables as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY = {"meta", "br"}
Attributes = list[tuple[str, str | None]]


@dataclass
class Reader(HTMLParser):
    """`rows`: the cells of every table row; `words`: all text; `policy`: of the page's own meta element."""

    elements: list[str] = field(default_factory=list)
    attributes: Attributes = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    words: str = ""
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in EMPTY:
            self.unclosed.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"th", "td"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data
        if {"th", "td"} & set(self.unclosed) and self.rows[-1]:
            self.rows[-1][-1] += data

    def cells(self, first: str, columns: int) -> list[str]:
        """What follows `first` in the first row of so many cells that begins with it."""
        return next(row[1:] for row in self.rows if row[0] == first and len(row) == columns)


def read(page: bytes) -> Reader:
    """The page, which has every element closed in its place."""
    reader = Reader()
    reader.feed(page.decode("utf-8"))
    reader.close()
    assert reader.unclosed == []
    return reader
