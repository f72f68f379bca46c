"""How a story ends, by the words of its last 160 characters."""

from __future__ import annotations

import re

_END_CHARACTERS = 160
_HAPPY = re.compile(r"\b(happy|happily|smiled?|smiling|laugh(ed|ing)?|hug(ged)?|friends?|proud|joy|love[ds]?)\b")
_SAD = re.compile(r"\b(sad|sadly|cr(ied|ying)|tears?|sorry|alone|lost|died|scared|never)\b")


def ends_happily(document: str) -> bool:
    """A word of joy and none of sorrow."""
    end = document[-_END_CHARACTERS:].lower()
    return bool(_HAPPY.search(end)) and not _SAD.search(end)


def ends_sadly(document: str) -> bool:
    """A word of sorrow and none of joy."""
    end = document[-_END_CHARACTERS:].lower()
    return bool(_SAD.search(end)) and not _HAPPY.search(end)
