"""Atomic instructions on 32-bit words of a shared memory (threads proposal). Addresses are 4-byte aligned.

Sequentially consistent, so what a thread stored before one of these is seen by whoever observes its effect.
"""

from __future__ import annotations

from tinypylm.wasm.binary import sleb, uleb
from tinypylm.wasm.kernel import Kernel, Ptr
from tinypylm.wasm.opcodes import OPCODES
from tinypylm.wasm.values import Moment, i32

_ALIGNED_WORD = b"\x02"  # log2 of the alignment; atomics accept no other


def _place(base: Ptr, offset: int) -> tuple[bytes, bytes]:
    """Code of the address, and the memory argument."""
    address, constant = base.address(offset // 4, 2)
    return address, _ALIGNED_WORD + uleb(constant)


def atomic_load(base: Ptr, offset: int) -> i32:
    """The word `offset` bytes behind `base`."""
    address, argument = _place(base, offset)
    return i32(address + OPCODES["i32.atomic.load"] + argument, Moment(base.kernel, base.kernel.epoch))


def atomic_store(k: Kernel, base: Ptr, offset: int, value: i32) -> None:
    address, argument = _place(base, offset)
    k.effect(address + value.take() + OPCODES["i32.atomic.store"] + argument)


def atomic_add(k: Kernel, base: Ptr, offset: int, value: int) -> i32:
    """Adds to the word; what it held before, named."""
    address, argument = _place(base, offset)
    return k.result(i32, address + i32.const(value).take() + OPCODES["i32.atomic.rmw.add"] + argument)


def notify(k: Kernel, base: Ptr, offset: int) -> None:
    """Wakes every thread that sleeps on the word."""
    address, argument = _place(base, offset)
    everyone = i32.const(0x7FFFFFFF).take()
    k.effect(address + everyone + OPCODES["memory.atomic.notify"] + argument + OPCODES["drop"])


def wait(k: Kernel, base: Ptr, offset: int, expected: i32, patience_ns: int) -> i32:
    """Sleeps while the word is `expected`: 0 woken, 1 it was another value, 2 the patience ran out (below 0: never)."""
    address, argument = _place(base, offset)
    patience = OPCODES["i64.const"] + sleb(patience_ns)
    return k.result(i32, address + expected.take() + patience + OPCODES["memory.atomic.wait32"] + argument)
