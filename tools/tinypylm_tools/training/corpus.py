"""Texts to documents: cut at the separator, each once, and some held out by what they say, not by where they stand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.choices import read_text
from tinypylm_tools.training import overlap
from tinypylm_tools.training.conversations import conversation
from tinypylm_tools.training.description import unusable
from tinypylm_tools.training.endings import ends_happily

SEPARATOR = "<|endoftext|>"
HELD_OUT_BELOW = 8
"""Held out are documents whose SHA-256 begins with a byte below this: 8 of 256."""

_SPOKEN = re.compile(r'"[^"]+"')


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, stripped, in the order of the texts. `repeated` and `overlapping` count what was left out."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    repeated: int
    overlapping: int
    shared_ppm: int
    """Of the 13-grams of the held-out documents, how many stand in training documents too."""


def read_corpus(paths: Sequence[Path], keep: str, form: str = "plain") -> Corpus:
    """The documents of all texts that the rule `keep` keeps, in this form. Raises ToolError where either part is empty.

    What is held out and what is a copy is decided before: the text of a document stands in all its forms.
    """
    for key, name, known in (("keep", keep, RULES), ("form", form, FORMS)):
        if name not in known:
            raise unusable(key, "[data]", name, f"one of {', '.join(known)}")
    documents = [document for path in paths for document in split(read_text(path))]
    distinct = list(dict.fromkeys(documents))
    kept = [document for document in distinct if RULES[keep](document)]
    held_out = [document for document in kept if is_held_out(document)]
    train = [document for document in kept if not is_held_out(document)]
    if not train or not held_out:
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"{', '.join(path.name for path in paths)}: found {len(train)} documents to train "
            f"on and {len(held_out)} held out, expected some of both. Documents stand between lines of {SEPARATOR}; "
            f"about one in {256 // HELD_OUT_BELOW} is held out.", {"train": len(train), "held_out": len(held_out)})
    clean = overlap.without_copies(train, held_out)
    shown, hidden = (tuple(map(FORMS[form], part)) for part in (clean, held_out))
    return Corpus(shown, hidden, len(documents) - len(distinct), len(train) - len(clean),
                  overlap.shared_ppm(clean, held_out))


def split(text: str) -> Iterable[str]:
    return filter(None, (document.strip() for document in text.split(SEPARATOR)))


def is_held_out(document: str) -> bool:
    return hashlib.sha256(document.encode()).digest()[0] < HELD_OUT_BELOW


def _has_dialogue(document: str) -> bool:
    """At least six utterances between straight quotes."""
    return len(_SPOKEN.findall(document)) >= 6


RULES: dict[str, Callable[[str], bool]] = {
    "all": lambda _: True, "dialogue": _has_dialogue, "happy_ending": ends_happily,
}
FORMS: dict[str, Callable[[str], str]] = {"plain": lambda document: document, "chat": conversation}
