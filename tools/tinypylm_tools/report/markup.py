"""HTML and SVG as values: what is not `Markup` is text, and escaped, so no name in a record can become an element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Markup:
    """Text that is markup already; made by `element` and `joined`, and of literals."""

    text: str


Child = Markup | str
Attribute = str | int | float
_EMPTY = frozenset({"meta", "br", "path", "circle", "line", "rect"})


def element(tag: str, *children: Child, **attributes: Attribute) -> Markup:
    """One element. `text_anchor` stands for text-anchor, `class_` for class; a float has one decimal."""
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    if tag in _EMPTY and not children:
        return Markup(f"<{tag}{named}/>")
    return Markup(f"<{tag}{named}>{''.join(map(_child, children))}</{tag}>")


def joined(parts: Iterable[Markup], between: str = "\n") -> Markup:
    return Markup(between.join(part.text for part in parts))


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table whose first column names its rows."""
    body = [element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
            for row in rows]
    top = [element("tr", *(element("th", cell, scope="col") for cell in head))] if head else []
    return element("table", joined([*top, *body]))


def plain(text: str) -> str:
    """`text` without characters that are not seen, among them those that turn the direction of what follows."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def shortened(text: str, characters: int) -> str:
    """At most so many characters, the last one dots where some are missing."""
    return text if len(text) <= characters else text[: characters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _child(child: Child) -> str:
    return child.text if isinstance(child, Markup) else escape(plain(child))


def _value(value: Attribute) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(plain(str(value)))
