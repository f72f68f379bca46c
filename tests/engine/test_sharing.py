"""Where threads must meet, as a table of uses."""

from __future__ import annotations

import pytest

from tests.kernels.bench import single
from tinypylm.families.sharing import HEADS, TOKENS, Sharing, rows
from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.values import Value, i32


def meetings(*uses: dict[str, object], threads: int = 2) -> list[int]:
    """Before which of the uses the threads meet."""
    met: list[int] = []
    done: list[object] = []
    sharing = Sharing(threads, lambda: met.append(len(done)))
    for use in uses:
        sharing.use(**use)  # type: ignore[arg-type]
        done.append(use)
    return met


def writes(division: str, region: str = "x") -> dict[str, object]:
    return {"division": division, "writes": [region]}


def reads(division: str, region: str = "x") -> dict[str, object]:
    return {"division": division, "writes": ["other"], "reads": [region]}


def reads_whole(division: str, region: str = "x") -> dict[str, object]:
    return {"division": division, "writes": ["another"], "whole": [region]}


@pytest.mark.parametrize("division", [TOKENS, HEADS, rows(64)])
def test_what_is_divided_alike_needs_no_meeting(division: str) -> None:
    assert meetings(writes(division), reads(division), writes(division)) == []


@pytest.mark.parametrize(("first", "second"), [
    (writes(TOKENS), reads(rows(64))), (writes(rows(64)), reads(TOKENS)), (writes(rows(64)), writes(rows(32))),
    (writes(HEADS), reads(TOKENS)), (writes(TOKENS), writes(rows(32))),
    (writes(TOKENS), reads_whole(rows(64))), (writes(rows(64)), reads_whole(rows(64))),
    (reads_whole(rows(64)), writes(TOKENS)), (reads_whole(rows(64)), writes(rows(64))), (reads(TOKENS), writes(HEADS)),
])
def test_what_is_divided_differently_waits_for_the_others(first: dict[str, object], second: dict[str, object]) -> None:
    assert meetings(first, second) == [1]


def test_reading_alone_needs_no_meeting() -> None:
    quiet = {"writes": []}
    assert meetings(reads(TOKENS) | quiet, reads(rows(64)) | quiet, reads_whole(rows(32)) | quiet) == []


def test_what_each_thread_has_for_itself_needs_no_meeting() -> None:
    assert meetings(writes(TOKENS, "normed"), reads_whole(rows(64), "normed"), writes(HEADS, "normed")) == []


def test_a_meeting_settles_what_came_before() -> None:
    assert meetings(writes(TOKENS), reads_whole(rows(64)), reads_whole(rows(64))) == [1]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 64, 100, 2048])
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("unit", [1, 16])
def test_the_parts_of_all_threads_are_the_whole_once(count: int, threads: int, unit: int) -> None:
    def bounds(k: Kernel, thread: i32, *, want_end: bool) -> Value:
        return Sharing(threads, lambda: None).part(k, thread, count, unit)[want_end]

    first, end = (single(bounds, want_end=want) for want in (False, True))
    covered = [i for t in range(threads) for i in range(int(first.run(t) or 0), int(end.run(t) or 0))]
    assert covered == list(range(count))


def test_one_thread_meets_nobody() -> None:
    sharing = Sharing(1, lambda: pytest.fail("one thread met somebody"))
    sharing.use(TOKENS, writes=["x"])
    sharing.use(HEADS, writes=["x"])
