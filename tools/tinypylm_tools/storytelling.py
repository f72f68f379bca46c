"""How many of a model's stories a person would call one: fifty beginnings, continued, and three questions about each.

The questions are fixed and need no judge: whether the story ends by itself at the end of a sentence, whether its
character is still there in the second half, and whether it does not go in circles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm_tools.choices import read_text

REPEATED_WORDS = 8
"""A story that says so many words in a row twice goes in circles."""

_LINE = re.compile(r"(?P<character>\w+): (?P<text>\S.*)")
_END = re.compile(r"[.!?][\"']?\s*")
_CLOSED = re.compile(_END.pattern + r"\Z")
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True, slots=True)
class Beginning:
    character: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """A continuation, and the answers to the three questions."""

    beginning: Beginning
    text: str
    ends: bool
    stays: bool
    moves_on: bool

    @property
    def is_sound(self) -> bool:
        """All three."""
        return self.ends and self.stays and self.moves_on


def read_beginnings(path: Path) -> list[Beginning]:
    """One `Character: beginning` a line; lines that are empty or begin with # are left out. Raises ToolError."""
    lines = read_text(path).splitlines()
    found = [_beginning(path, number, line) for number, line in enumerate(lines, 1) if line and line[0] != "#"]
    if not found:
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path} holds no beginning; expected lines such as `Lily: Lily "
                        "found a ball.`", {"file": str(path)})
    return found


def _beginning(path: Path, number: int, line: str) -> Beginning:
    match = _LINE.fullmatch(line)
    if match is None or not _names(match["character"], match["text"]):
        raise ToolError(ErrorCode.UNUSABLE_SUITE, f"{path}, line {number}: found {line!r:.80}, expected `Character: "
                        "beginning` with the character in the beginning", {"file": str(path), "line": number})
    return Beginning(match["character"], match["text"])


def stories(session: Session, beginnings: list[Beginning]) -> Iterator[Story]:
    """Each beginning continued to its end or that of the context, with its index as the seed and default options."""
    for seed, beginning in enumerate(beginnings):
        options = SamplingOptions(seed=seed, max_tokens=session.config.context_length)
        session.start(beginning.text, options)
        text = ""
        while not session.finished:
            text += "".join(event.text for event in session.advance(lambda: False))
        yield judged(beginning, text, session.finish_reason == "stop")


def judged(beginning: Beginning, text: str, ended: bool) -> Story:
    """The answers; `ended` says whether the model gave its end token."""
    return Story(beginning, text, ended and _CLOSED.search(text) is not None, _stays(beginning.character, text),
                 not _repeats(text))


def _stays(character: str, text: str) -> bool:
    """Whether the second half of the sentences names the character."""
    sentences = [sentence for sentence in _END.split(text) if sentence]
    return _names(character, ". ".join(sentences[len(sentences) // 2 :]))


def _names(character: str, text: str) -> bool:
    return character in _WORD.findall(text.replace("'s", ""))


def _repeats(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text)]
    runs = [tuple(words[at : at + REPEATED_WORDS]) for at in range(len(words) - REPEATED_WORDS + 1)]
    return len(set(runs)) < len(runs)
