"""Whether relaxed SIMD's dot product of bytes is one instruction of this machine, found by timing it.

Where it is (x86 with AVX-VNNI, ARM with the dot product extension) it takes half the time of the two products of i16
pairs, and their additions, that do the same; where an engine puts it together from others, about as long. No API tells.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from tinypylm.errors import EngineError
from tinypylm.hosts import Host
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import Kernel, ModuleBuilder, Ptr
from tinypylm.wasm.values import i32
from tinypylm.wasm.vectors import i16x8, i32x4

_CHAINS, _TIMES, _TURNS = 8, 4, 3
_ROUNDS = 40_000  # a quarter of a millisecond where the instruction is there; some pages' clocks tick in tenths
_MOST = 0.75


def has_fast_byte_dots(host: Host) -> bool:
    """False as well where the host refuses the instruction. Takes a few milliseconds."""
    module = ModuleBuilder(MemoryImport(1, 1, shared=False))
    module.add(_of_bytes, "of_bytes", {}, export=True)
    module.add(_of_pairs, "of_pairs", {}, export=True)
    try:
        instance = host.instantiate(module.encode(), 1)
    except EngineError:
        return False
    bytes_seconds, pairs_seconds = _fastest(instance.export("of_bytes"), instance.export("of_pairs"))
    instance.free()
    return bytes_seconds < _MOST * pairs_seconds


def _fastest(*calls: Callable[..., object]) -> list[float]:
    """The seconds of each call's best turn."""
    best = [float("inf")] * len(calls)
    for _ in range(_TURNS):
        for n, call in enumerate(calls):
            started = perf_counter()
            call(0, _ROUNDS)
            best[n] = min(best[n], perf_counter() - started)
    return best


def _of_bytes(k: Kernel, at: Ptr, rounds: i32) -> None:
    a, b = k.let(at.i8x16[0]), k.let(at.i8x16[16])
    _chains(k, at, rounds, lambda total: a.dot_add(b, total))


def _of_pairs(k: Kernel, at: Ptr, rounds: i32) -> None:
    a, b = k.let(at.i16x8[0]), k.let(at.i16x8[8])

    def step(total: i32x4) -> i32x4:
        pairs = k.let(total.view(i16x8))  # not the same ones each time: that product would be made once
        return pairs.dot(a) + pairs.dot(b) + total

    _chains(k, at, rounds, step)


def _chains(k: Kernel, at: Ptr, rounds: i32, step: Callable[[i32x4], i32x4]) -> None:
    """Sums that do not wait for each other, so that what counts is how many instructions there are."""
    sums = [k.var(i32x4.const(0)) for _ in range(_CHAINS)]
    with k.range(rounds):
        for _ in range(_TIMES):
            for total in sums:
                total.set(step(total))
    for n, total in enumerate(sums):
        at.i32x4[8 + 4 * n] = total
