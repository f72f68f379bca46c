"""Which thread does what in a forward pass, and where threads must meet.

Every use of a scratch region says how the threads divide it. Two uses, one of them a write, that are divided
differently may bring two threads to the same bytes: a barrier goes between them. Divided alike, each thread meets only
bytes of its own. With one thread there is nothing to divide and no barrier is emitted.

Small work that all of them need (norms, codes, angles) each thread does for itself, into a copy of its own: that is
cheaper than to wait for whoever does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tinypylm import memory
from tinypylm.wasm.kernel import Kernel
from tinypylm.wasm.values import i32

TOKENS = "tokens"
"""Row t of a region is thread t mod threads'."""
HEADS = "heads"
"""Each thread has key/value heads of its own, with the query heads that use them."""
WHOLE = "whole"
"""A thread may read any of it."""
PRIVATE = frozenset(memory.PRIVATE_REGIONS)
UNIT = 16  # elements: a cache line of f32, so that two threads do not write to one


def rows(count: int) -> str:
    """Each thread has elements of its own, `count` in all, in every token's row."""
    return f"{count} rows"


class Use(NamedTuple):
    division: str
    writes: bool

    def clashes_with(self, other: Use) -> bool:
        return (self.writes or other.writes) and (self.division != other.division or self.division == WHOLE)


class Sharing:
    """The uses of regions since the threads met last."""

    def __init__(self, threads: int, meet: Callable[[], None]):
        self.threads = threads
        self._meet = meet
        self._uses: dict[str, set[Use]] = {}

    def use(
        self, division: str, *, writes: Iterable[str], reads: Iterable[str] = (), whole: Iterable[str] = ()
    ) -> None:
        """Announces an operation on these regions; the threads meet first where they must."""
        uses = [(region, Use(division, True)) for region in writes]
        uses += [(region, Use(division, False)) for region in reads]
        uses += [(region, Use(WHOLE, False)) for region in whole]
        new = [(region, use) for region, use in uses if region not in PRIVATE]
        if any(use.clashes_with(earlier) for region, use in new for earlier in self._uses.get(region, ())):
            self.meet()
        for region, use in new:
            self._uses.setdefault(region, set()).add(use)

    def meet(self) -> None:
        """All threads have done what came before."""
        self._uses.clear()
        if self.threads > 1:
            self._meet()

    def part(self, k: Kernel, thread: i32, count: int, unit: int = UNIT) -> tuple[i32, i32]:
        """The elements first <= i < end of `count` that are this thread's."""
        if self.threads == 1:
            return k.let(i32.const(0)), k.let(i32.const(count))
        share = -(-count // (self.threads * unit)) * unit
        first = k.let(_at_most(k, k.let(thread * share), count))
        return first, k.let(_at_most(k, k.let(first + share), count))


def _at_most(k: Kernel, x: i32, limit: int) -> i32:
    return k.select(x < limit, x, i32.const(limit))
