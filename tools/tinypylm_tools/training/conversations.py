"""Stories as conversations: a wish that fits the story, the story as the answer, and a little talk around it.

What is asked and how is drawn from the digest of the story, so a text always gives the same conversations.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

from tinypylm.chat import ChatFormat, Turn
from tinypylm_tools.training.endings import ends_happily, ends_sadly

CHAT = {
    "user_prefix": "User: ", "user_suffix": "\n", "assistant_prefix": "Storyteller: ", "assistant_suffix": "\n",
}
"""How the turns begin and end, for the metadata of a model that has learnt from these."""

_ASKED = (
    "Write a story about {}.", "Tell me a story about {}.", "Can you tell me a story about {}?",
    "Please write a short story about {}.", "I want to hear a story about {}.", "A story about {}, please.",
)
_ENDED = ((ends_happily, " with a happy ending"), (ends_sadly, " with a sad ending"))

_GREETINGS = (
    ("Hello!", "Hello! What shall the story be about?"),
    ("Hi!", "Hi! Do you want to hear a story?"),
    ("Good morning!", "Good morning! Shall I tell you a story?"),
    ("How are you?", "I am happy. I like to tell stories. What shall it be about?"),
    ("Who are you?", "I am a small storyteller. I live in this page. What shall I tell you?"),
    ("What is your name?", "I am the Storyteller. Who shall be in your story?"),
    ("What can you do?", "I can tell short stories. Tell me who is in it."),
    ("Can you help me?", "I only know stories. Do you want to hear one?"),
    ("Do you know a joke?", "No, I only know stories. Shall I tell you one?"),
    ("What is two and two?", "I do not know. I only know stories. Do you want one?"),
    ("I am sad.", "I am sorry. A story may help. Who shall be in it?"),
    ("I am bored.", "Then it is time for a story. What shall it be about?"),
)
_THANKS = (
    ("Thank you!", "You are welcome! Do you want one more?"),
    ("That was nice.", "I am glad that you liked it. Do you want one more?"),
    ("I like it.", "Thank you! I can tell you one more."),
    ("Good night!", "Good night! Sleep well."),
    ("Bye!", "Bye! Come back soon."),
    ("That is funny!", "I am happy that you laugh."),
)

_NAMED = re.compile(r"\b(an? (?:[a-z]+ ){0,2}[a-z]+),? (?:named|called) ([A-Z][a-z]+)\b")
_WAS_A = re.compile(r"\b([A-Z][a-z]+) was (an? (?:[a-z]+ )?[a-z]+)\b(?= who\b| that\b|\.)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_THING = re.compile(r"\b[Tt]he ([a-z]{3,})\b")
_NO_NAME = re.compile(r"But|He|Her|His|It|Its|My|She|That|The|Then|There|They|This|We|What|When|Yes|You|Your")
_NO_THING = re.compile(
    r"other|first|next|same|old|new|big|little|small|day|end|way|man|boy|girl|morning|night|rest|time|whole")


def conversation(story: str) -> str:
    """Greeting, wish, story and thanks; most conversations have only some of them.

    One that ends with its story has nothing behind it, so what follows a story is its end or another turn.
    """
    draw = _Draws(story)
    turns: list[tuple[str, str]] = []
    if draw.below(4) == 0:
        turns.append(draw.one_of(_GREETINGS))
    turns.append((wish(story, draw), story))
    if draw.below(6) == 0:
        turns.append(draw.one_of(_THANKS))
    said = [Turn(role, text) for turn in turns for role, text in zip(("user", "assistant"), turn, strict=True)]
    return ChatFormat(CHAT).written(said).removesuffix(CHAT["assistant_suffix"])


class _Draws:
    """Numbers that depend on a text alone."""

    def __init__(self, text: str):
        self._left = int.from_bytes(hashlib.sha256(b"conversation\n" + text.encode()).digest())

    def below(self, count: int) -> int:
        self._left, drawn = divmod(self._left, count)
        return drawn

    def one_of(self, choices: Sequence[tuple[str, str]]) -> tuple[str, str]:
        return choices[self.below(len(choices))]


def wish(story: str, draw: _Draws) -> str:
    """What someone may have said to get this story: who it is about, often what, sometimes how it ends."""
    asked = _ASKED[draw.below(len(_ASKED))]
    subject = _subject(story, draw)
    ending = next((words for ends, words in _ENDED if ends(story)), "") if draw.below(2) == 0 else ""
    return asked.format(subject + ending)


def _subject(story: str, draw: _Draws) -> str:
    who, name = _hero(story)
    thing = _thing(story)
    kinds = [who, f"{name} and the {thing}" if name and thing else "", _with_article(thing, draw) if thing else ""]
    found = [kind for kind in kinds if kind]
    return found[draw.below(len(found))] if found else "something nice"


def _hero(story: str) -> tuple[str, str]:
    """Who the story is about, as one asks for them, and their name."""
    if match := _NAMED.search(story):
        return f"{match[1]} named {match[2]}", match[2]
    if match := _WAS_A.search(story):
        return f"{match[2]} named {match[1]}", match[1]
    names = Counter(name for name in _NAME.findall(story) if not _NO_NAME.fullmatch(name))
    name = next((name for name, count in names.most_common(1) if count > 1), "")
    return name, name


def _thing(story: str) -> str:
    """What is named most often with an article, three times or more."""
    things = Counter(thing for thing in _THING.findall(story) if not _NO_THING.fullmatch(thing))
    return next((thing for thing, count in things.most_common(1) if count > 2), "")


def _with_article(thing: str, draw: _Draws) -> str:
    if draw.below(2) == 0 or thing.endswith("s"):
        return f"the {thing}"
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
