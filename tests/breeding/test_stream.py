"""The seeded words: literal bytes in, literal words out, and nothing else that they depend on."""

from __future__ import annotations

import hashlib
import struct

from tinypylm.config import Role
from tinypylm_tools.breeding.stream import words

PARENT = "ab" * 32


def test_the_input_is_four_parts_each_behind_its_length() -> None:
    text = (
        b"\x11\x00\x00\x00slm/breed/dare/v1"
        b"\x08\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00"
        b"\x20\x00\x00\x00" + b"\xab" * 32
        + b"\x06\x00\x00\x00\x12\x00\x03\x00\x00\x00")
    expected = struct.unpack("<5I", hashlib.shake_256(text).digest(20))
    assert words("dare", 7, PARENT, Role.WQ, 3, 5).tolist() == list(expected)


def test_golden_words() -> None:
    """Made with `openssl dgst -shake256 -xoflen 12` over the four parts."""
    assert words("dare", 7, PARENT, Role.WQ, 3, 3).tolist() == [984923842, 1935642547, 988976812]
    last = words("dare", 2**64 - 1, PARENT, Role.TOK_EMBEDDINGS, None, 3)
    assert last.tolist() == [4128342515, 1970166343, 3742506522]
    assert words("crossover", 0, PARENT, Role.ATTN_NORM, 0, 3).tolist() == [3951839769, 3462311949, 3929961949]
    assert words("della", 7, PARENT, Role.WQ, 3, 3).tolist() == [3288062325, 2272847360, 156747948]


def test_word_j_does_not_depend_on_how_many_are_asked_for() -> None:
    assert words("dare", 7, PARENT, Role.WQ, 3, 2000)[:99].tolist() == words("dare", 7, PARENT, Role.WQ, 3, 99).tolist()


def test_each_part_makes_another_stream() -> None:
    streams = [
        words("dare", 7, PARENT, Role.WQ, 3, 4), words("della", 7, PARENT, Role.WQ, 3, 4),
        words("dare", 8, PARENT, Role.WQ, 3, 4), words("dare", 7, "ac" * 32, Role.WQ, 3, 4),
        words("dare", 7, PARENT, Role.WK, 3, 4), words("dare", 7, PARENT, Role.WQ, 4, 4),
        words("dare", 7, PARENT, Role.WQ, None, 4)]
    assert len({tuple(stream.tolist()) for stream in streams}) == len(streams)
