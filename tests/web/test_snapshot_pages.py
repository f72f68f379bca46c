"""A snapshot as a file and back in a heap: the server packs it as the page does, and the engine's own word stays."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tinypylm_tools.serving.snapshot import packed_memory

pytestmark = pytest.mark.browser

PAGE, HEAD_BYTES = 65_536, 128
HEAP = bytes(PAGE) + bytes(range(256)) * 256 + bytes(2 * PAGE) + b"abcd" * 40_000 + bytes(4 * PAGE - 160_000)
MEMORY = bytes(range(128)) + HEAP
"""As Pyodide makes it: a head of its own, then the heap."""
WORD = 3 * PAGE + 8

PACKED = """async (memory) => {
  const {packed} = await import("/snapshot-pages.js");
  return [...new Uint8Array(packed(new Uint8Array(memory)))];
}"""
PLACED = """async ([file, head_bytes, there]) => {
  const {onDemand} = await import("/snapshot-pages.js");
  const heap = new Uint8Array(there);
  const memory = onDemand(new Uint8Array(file).buffer, () => heap);
  const head = [...memory.subarray(0, head_bytes)];
  heap.set(memory.subarray(head_bytes)); // as Pyodide does
  return [memory.length, head, [...heap]];
}"""


@pytest.fixture(scope="module")
def ask(browser: object, server: str) -> Callable[..., object]:
    page: Page = browser.new_context().new_page()  # type: ignore[attr-defined]
    page.goto(f"{server}icon.svg")
    return page.evaluate


def file_of(memory: bytes, engine_word: int) -> list[int]:
    return [*gzip.decompress(packed_memory(memory, engine_word))]


def test_server_and_page_pack_a_memory_into_the_same_file(ask: Callable[..., object]):
    file = file_of(MEMORY, 0)
    assert len(file) < len(MEMORY) - PAGE
    assert ask(PACKED, [*MEMORY]) == file


@pytest.mark.parametrize("there", [bytes(len(HEAP)), b"\xAA" * len(HEAP)])
def test_every_byte_of_the_heap_is_the_snapshots_whatever_stood_there(ask: Callable[..., object], there: bytes):
    found = ask(PLACED, [file_of(MEMORY, 0), HEAD_BYTES, [*there]])
    assert found == [len(MEMORY), [*MEMORY[:HEAD_BYTES]], [*HEAP]]


def test_the_word_that_depends_on_the_engine_stays_the_engines(ask: Callable[..., object]):
    found = ask(PLACED, [file_of(MEMORY, WORD), HEAD_BYTES, [*(b"\xAA" * len(HEAP))]])
    assert found[2] == [*HEAP[:WORD], *(b"\xAA" * 4), *HEAP[WORD + 4:]]  # type: ignore[index]


def test_a_snapshot_for_a_heap_of_another_size_is_refused(ask: Callable[..., object]):
    with pytest.raises(Exception, match="does not fit a heap of"):
        ask(PLACED, [file_of(MEMORY, 0), HEAD_BYTES, [0] * PAGE])
