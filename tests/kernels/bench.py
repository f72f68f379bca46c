"""A workbench for one kernel: a module of it alone, a memory, and NumPy views of that memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinypylm.hosts.native import NativeHost
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import ModuleBuilder
from tinypylm.wasm.values import Value

_PAGES = 64
_HOST = NativeHost()


class Workbench:
    """Kernels compiled together; arrays are placed one behind the other, 64-byte aligned, with space between."""

    def __init__(self) -> None:
        self.module = ModuleBuilder(MemoryImport(_PAGES, _PAGES, shared=False))
        self._next = 64

    def add(self, body: Callable[..., Value | None], name: str = "kernel", **constants: object):
        return self.module.add(body, name, constants, export=True)

    def start(self) -> None:
        self.instance = _HOST.instantiate(self.module.encode(), _PAGES)

    def place(self, array: NDArray) -> int:
        """Copies an array into linear memory; its address."""
        address = self.room(array.nbytes)
        self.instance.write(address, np.ascontiguousarray(array).reshape(-1).view(np.uint8).tobytes())
        return address

    def room(self, size_bytes: int) -> int:
        address = self._next
        self._next += -(-size_bytes // 64) * 64 + 64
        return address

    def run(self, *arguments: float, name: str = "kernel") -> int | float | None:
        return self.instance.export(name)(*arguments)

    def read(self, address: int, count: int, dtype: type = np.float32) -> NDArray:
        return np.frombuffer(self.instance.read(address, count * np.dtype(dtype).itemsize), dtype)


def single(body: Callable[..., Value | None], **constants: object) -> Workbench:
    """A workbench with one kernel, started."""
    bench = Workbench()
    bench.add(body, **constants)
    bench.start()
    return bench
