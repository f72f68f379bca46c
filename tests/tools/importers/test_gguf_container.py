"""Files that are no sound GGUF: each rule with its bytes, and nothing but a typed error comes of any damage."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import pytest

from tinypylm.errors import ToolError
from tinypylm_tools.importers.gguf_container import read_container

U8, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def file(keys: list[bytes], tensors: list[bytes], data: bytes = b"", version: int = 3, align: int = 32) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys + tensors)
    return head + bytes(-len(head) % align) + data


SOUND = file(
    [key("a", U32, b"\x07\0\0\0"), key("b", STRING, text("x")), key("c", ARRAY, struct.pack("<IQ", U8, 3) + b"\1\2\3"),
     key("d", ARRAY, struct.pack("<IQ", STRING, 2) + text("y") + text("")), key("e", BOOL, b"\1"),
     key("f", F32, struct.pack("<f", 0.5)), key("g", U64, struct.pack("<Q", 1 << 40))],
    [tensor("w", (2, 3), 0, 0), tensor("v", (32,), 8, 32)], bytes(24) + bytes(8) + bytes(34))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.gguf"


def test_a_sound_file_gives_its_keys_and_places(path: Path) -> None:
    path.write_bytes(SOUND)
    container = read_container(path)
    assert container.fields.values == {
        "a": 7, "b": "x", "c": [1, 2, 3], "d": ["y", ""], "e": True, "f": 0.5, "g": 1 << 40}
    w, v = container.tensors["w"], container.tensors["v"]
    base = len(SOUND) - 66
    assert (w.kind, w.shape, w.start, w.end) == ("F32", (3, 2), base, base + 24)
    assert (v.kind, v.shape, v.start, v.end) == ("Q8_0", (32,), base + 32, base + 66)


def test_it_agrees_with_the_package_gguf(path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    path.write_bytes(SOUND)
    theirs = gguf.GGUFReader(path)
    ours = read_container(path)
    for name, value in ours.fields.values.items():
        assert theirs.get_field(name).contents() == value
    assert {(t.name, t.data_offset, t.n_bytes) for t in theirs.tensors} == {
        (name, t.start, t.end - t.start) for name, t in ours.tensors.items()}


@pytest.mark.parametrize(("data", "words"), [
    (b"GGML" + SOUND[4:], "does not start with GGUF"),
    (file([], [], version=1), "the version is 1; expected 2 or 3"),
    (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "the version is 50331648; expected 2 or 3, little-endian"),
    (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "the number of tensors is 1152921504606846976"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "the number of keys is 1152921504606846976"),
    (file([struct.pack("<Q", 1 << 62) + b"name"], []), "the length of a key is 4611686018427387904"),
    (file([key("a", U8, b"\1"), key("a", U8, b"\2")], []), "the key 'a' stands twice"),
    (file([text(b"\xff") + struct.pack("<I", U8) + b"\1"], []), "a key is b'\\\\xff', which is not UTF-8"),
    (file([key("a", STRING, struct.pack("<Q", 1 << 63))], []), "the length of a is 9223372036854775808"),
    (file([key("a", ARRAY, struct.pack("<IQ", U8, 1 << 62))], []), "the length of a is 4611686018427387904"),
    (file([key("a", ARRAY, struct.pack("<IQ", U32, 12))], []), "a would take 12 x 4 bytes"),
    (file([key("a", ARRAY, struct.pack("<IQ", STRING, 1 << 61))], []), "the length of a is 2305843009213693952"),
    (file([key("a", ARRAY, struct.pack("<IQ", ARRAY, 1)) + bytes(99)], []), "a has type 9; expected a number"),
    (file([key("a", 13, bytes(8))], []), "a has type 13; expected a number"),
    (file([key("general.alignment", U32, struct.pack("<I", 0))], []), "general.alignment"),
    (file([key("general.alignment", U32, struct.pack("<I", 48))], []), "general.alignment"),
    (file([], [tensor("w", (), 0, 0) + bytes(8)]), "w has 0 dimensions; expected 1 to 4"),
    (file([], [tensor("w", (1,) * 5, 0, 0)]), "w has 5 dimensions; expected 1 to 4"),
    (file([], [text("w") + struct.pack("<I", 1 << 30) + bytes(64)]), "w has 1073741824 dimensions"),
    (file([], [tensor("w", (1,), 0, 0)] * 2, bytes(4)), "the tensor 'w' stands twice"),
    (file([], [tensor("w", (1,), 16, 0)], bytes(64)), "w in x.gguf has ggml's type 16; expected one of F32, F16"),
    (file([], [tensor("w", (31,), 8, 0)], bytes(64)), "rows of 31 and offset 0; expected multiples of 32"),
    (file([], [tensor("w", (1,), 0, 8)], bytes(64)), "offset 8; expected multiples of 1 and 32"),
    (file([], [tensor("w", (1 << 32, 1 << 32), 0, 0)], bytes(64)), "w takes bytes"),
    (file([], [tensor("w", (1 << 62, 4), 0, 0)], bytes(64)), "w takes bytes"),
    (file([], [tensor("w", (16,), 0, 32)], bytes(64)), "w takes bytes"),
    (file([], [tensor("w", (16,), 0, (1 << 64) - 32)], bytes(64)), "w takes bytes"),
    (file([], [tensor("w", (16,), 0, 0), tensor("v", (8,), 0, 32)], bytes(64)), "v takes bytes"),
])
def test_a_file_that_breaks_a_rule_is_refused_in_words(path: Path, data: bytes, words: str) -> None:
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ToolError, match=words):
        read_container(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_file_cut_off_anywhere_is_refused(path: Path) -> None:
    for length in range(len(SOUND)):
        path.write_bytes(SOUND[:length])
        with pytest.raises(ToolError):
            read_container(path)


def test_no_flipped_byte_escapes_as_another_error(path: Path) -> None:
    for at in range(len(SOUND) - 66):
        for mask in (0x01, 0x80, 0xFF):
            path.write_bytes(SOUND[:at] + bytes([SOUND[at] ^ mask]) + SOUND[at + 1 :])
            try:
                read_container(path)
            except ToolError:
                continue


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"nothing\.gguf is missing"):
        read_container(tmp_path / "nothing.gguf")
