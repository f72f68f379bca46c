"""Files with the most of something that the format allows, and as little as possible beside it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice, product

from tests.format.micro_model import BYTES, CONFIG, NEOX, micro
from tinypylm.format.header import DIMENSION_CAPS, METADATA_CAP_BYTES
from tinypylm.format.vocabulary import MERGE_CAP, TOKEN_CAP_BYTES

TOKEN_CAP = DIMENSION_CAPS["vocab_size"]
LAYER_CAP = DIMENSION_CAPS["n_layers"]
NAMES = ["".join(letters) for letters in product("abcdefghijklmnopqrstuvwxyz", repeat=3)]

Merge = tuple[int, int, int]


def both_caps() -> bytes:
    """131,072 tokens, most of three bytes, and 262,144 merges."""
    runs, merges = _runs(MERGE_CAP)
    used = {text for _, text in runs}
    others = (text for text in map(bytes, product(range(256), repeat=3)) if text not in used)
    tokens = [*runs, *((0, text) for text in islice(others, TOKEN_CAP - len(runs)))]
    return _micro_bpe(tokens, merges)


def most_merges() -> bytes:
    return runs_of_a(MERGE_CAP)


def runs_of_a(merges: int) -> bytes:
    """The bytes, and as many runs of the letter a as can be put together in so many ways."""
    return _micro_bpe(*_runs(merges))


def most_tokens() -> bytes:
    """Special tokens without bytes: three bytes each in the section, eight in the smallest embeddings."""
    return _micro_bpe([*BYTES, *[(2, b"")] * (TOKEN_CAP - 256)], [])


def equal_tokens() -> bytes:
    """Every token but the bytes twice, which is refused."""
    pairs = [(0, bytes(text)) for text in product(range(256), repeat=2)]
    return _micro_bpe([*BYTES, *islice(chain.from_iterable(zip(pairs, pairs, strict=True)), TOKEN_CAP - 256)], [])


def longest_tokens() -> bytes:
    """Merges that have as many bytes to compare as there can be: a^n and a^j into a^(n + j), n + j up to 4,096."""
    lengths = [*range(2, 513), *range(TOKEN_CAP_BYTES - 1023, TOKEN_CAP_BYTES + 1)]
    tokens = [*BYTES, *((0, b"a" * length) for length in lengths)]
    ids = {1: 97} | {length: 256 + index for index, length in enumerate(lengths)}
    longest = (TOKEN_CAP_BYTES - 512 - back for back in range(512))
    return _micro_bpe(tokens, [
        (ids[length], ids[tail], ids[length + tail]) for length in longest for tail in range(1, 513)])


def most_unused_ids() -> bytes:
    """The byte tokenizer with 131,072 ids."""
    return micro(replace(CONFIG, vocab_size=TOKEN_CAP))


def most_layers() -> bytes:
    return micro(replace(CONFIG, n_layers=LAYER_CAP))


def most_tensors() -> bytes:
    return micro(replace(NEOX, n_layers=LAYER_CAP, hidden_size=2, n_heads=1, n_kv_heads=1, head_dim=2))


def with_metadata(text: bytes) -> Callable[[], bytes]:
    assert len(text) <= METADATA_CAP_BYTES
    return lambda: micro(metadata=text)


def figures(value: str, count: int) -> bytes:
    return ('{"training":{' + ",".join(f'"{name}":{value}' for name in NAMES[:count]) + "}}").encode()


HEAVY = {
    "both caps of the vocabulary": both_caps, "most merges": most_merges, "most tokens": most_tokens,
    "equal tokens": equal_tokens, "longest tokens": longest_tokens, "most unused ids": most_unused_ids,
    "most layers": most_layers, "most tensors": most_tensors,
    "figures that are numbers": with_metadata(figures("300", 6_500)),
    "figures that are strings": with_metadata(figures('"ab"', 5_950)),
    "one long string": with_metadata(b'{"name":"' + b"a" * 65_000 + "\U0001f600".encode() + b'"}'),
    "one long string of escapes": with_metadata(b'{"name":"' + b'\\"' * 32_760 + b'"}'),
    "a string of escapes without an end": with_metadata(b'{"name":"' + b'\\"' * 32_763),
    "empty lists": with_metadata(b'{"name":[' + b",".join([b"[]"] * 21_800) + b"]}"),
    "empty objects": with_metadata(("{" + ",".join(f'"{name}":{{}}' for name in NAMES[:7_200]) + "}").encode()),
    "short strings": with_metadata(b'{"name":[' + b",".join([b'"ab"'] * 13_000) + b"]}"),
    "open brackets": with_metadata(b"[" * METADATA_CAP_BYTES),
}


def _runs(count: int) -> tuple[list[tuple[int, bytes]], list[Merge]]:
    tokens, merges, ids = [*BYTES], [], {1: 97}
    for length in range(2, TOKEN_CAP_BYTES):
        ids[length] = len(tokens)
        tokens.append((0, b"a" * length))
        merges += [(ids[left], ids[length - left], ids[length]) for left in range(1, length)]
        if len(merges) >= count:
            break
    return tokens, merges[:count]


def _micro_bpe(tokens: list[tuple[int, bytes]], merges: list[Merge]) -> bytes:
    section = bytearray(b"BPE1" + struct.pack("<III", 0, len(tokens), len(merges)))
    for kind, text in tokens:
        section += struct.pack("<HB", len(text), kind) + text
    section += struct.pack(f"<{3 * len(merges)}I", *chain.from_iterable(merges))
    return micro(replace(CONFIG, vocab_size=len(tokens), bos_id=None, eos_id=None), bytes(section))
