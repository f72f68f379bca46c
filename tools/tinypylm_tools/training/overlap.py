"""Runs of 13 words that a training document and a held-out one share: copies are found by them, and counted.

Words are what stands between spaces, in small letters. Two stories that begin alike share a few runs; a copy with
another title, a cut one or one with changed names shares most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

RUN_WORDS = 13
COPY_SHARE = 0.5
"""A training document of whose runs so many stand in held-out documents is a copy."""


def runs(document: str) -> set[str]:
    """The distinct runs of 13 words; a document that is shorter has none."""
    words = document.lower().split()
    return {" ".join(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1)}


def without_copies(train: Iterable[str], held_out: Iterable[str]) -> list[str]:
    """The training documents that are no copies of what is held out."""
    held: set[str] = set().union(*map(runs, held_out))
    return [document for document in train if not _is_copy(runs(document), held)]


def shared_ppm(train: Iterable[str], held_out: Sequence[str]) -> int:
    """Of the distinct runs of the held-out documents, how many of a million stand in training documents."""
    held: set[str] = set().union(*map(runs, held_out))
    shared: set[str] = set()
    for document in train:
        shared |= runs(document) & held
    return round(1e6 * len(shared) / len(held)) if held else 0


def _is_copy(found: set[str], held: set[str]) -> bool:
    return bool(found) and len(found & held) >= COPY_SHARE * len(found)
