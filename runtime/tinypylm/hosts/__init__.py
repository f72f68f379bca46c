"""Who runs the emitted module: a browser through Pyodide, or wasmtime under CPython. The engine sees only this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tinypylm.source import FileBytes

Buffer = bytes | bytearray | memoryview
Export = Callable[..., "int | float | None"]


class Instance(Protocol):
    """One instantiated module and the memory it was given."""

    compile_ms: float
    memory_bytes: int
    trap: type[Exception]
    """What an export raises when compiled code traps."""

    def export(self, name: str) -> Export:
        """The exported function; resolve it once, call it per token."""

    def write(self, address: int, data: FileBytes) -> None:
        """Copies `data` into linear memory."""

    def read(self, address: int, size_bytes: int) -> bytes:
        """A copy of linear memory."""

    def reader(self, address: int, target: memoryview) -> Callable[[], None]:
        """A function that fills `target`, a view of bytes, from linear memory; make it once, call it per token."""

    def beside(self, module: bytes) -> Callable[[str], Export]:
        """The exports, by name, of another module that imports the same memory; helpers do not run it."""

    def free(self) -> None:
        """Drops module and memory; nothing may be called afterwards."""


class Host(Protocol):
    """A WebAssembly engine. `name` says which, with its version; `threads` run a module together, 1 to 4.

    With more than one, the memory is shared, and before `instantiate` returns or soon after it each helper n from 1
    on calls the export `serve(n)`, which returns when job 0 is handed out.
    """

    name: str
    threads: int

    @property
    def byte_dots(self) -> bool:
        """Whether relaxed SIMD's dot product of bytes is one fast instruction here; it changes no bit of any logit."""

    def alone(self) -> Host:
        """The same engine with one thread."""

    def instantiate(self, module: bytes, pages: int) -> Instance:
        """Compiles `module`; its `env.memory` is a zeroed memory of exactly `pages` pages that cannot grow."""
