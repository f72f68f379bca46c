"""The engine's host inside Pyodide: WebAssembly through the browser's own API. The only importer of `js` and `pyodide`.

The memory never grows, so one view of its bytes stays valid for the life of an instance. Compiling is synchronous,
which a browser allows in a worker.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Protocol, cast

import js  # type: ignore[import-not-found]
from pyodide.ffi import JsException, to_js  # type: ignore[import-not-found]

from tinypylm.errors import EngineError, ErrorCode
from tinypylm.hosts import Buffer, Export
from tinypylm.hosts.probe import has_fast_byte_dots
from tinypylm.kernels.threads import QUIT
from tinypylm.source import FileBytes, source_of

Help = Callable[[object, object], None]

_ENGINES = (r"(Firefox)/([\d.]+)", r"(?:Headless)?(Chrome)/([\d.]+)", r"Version/([\d.]+).*(Safari)/")


class _Bytes(Protocol):
    """A Uint8Array as Python sees it."""

    length: int

    def set(self, source: _Bytes, at: int) -> None: ...
    def subarray(self, start: int, end: int) -> _Bytes: ...
    def assign(self, source: Buffer) -> None: ...
    def assign_to(self, target: memoryview) -> None: ...
    def to_bytes(self) -> bytes: ...


class OutsideFile:
    """A file that lies in JavaScript's memory, in a Uint8Array: a `Source`."""

    def __init__(self, array: _Bytes):
        self.array = array
        self._size_bytes: int = array.length

    def __len__(self) -> int:
        return self._size_bytes

    def __getitem__(self, part: slice, /) -> memoryview:
        start, stop, _ = part.indices(self._size_bytes)
        return memoryview(self.array.subarray(start, stop).to_bytes())


class BrowserInstance:
    """One module with a memory of its own."""

    trap: type[Exception] = JsException

    def __init__(self, exports: object, memory: object, compile_ms: float):
        self._exports, self._memory = exports, memory
        self._bytes = cast(_Bytes, js.Uint8Array.new(memory.buffer))  # type: ignore[attr-defined]
        self.compile_ms = compile_ms
        self.memory_bytes: int = memory.buffer.byteLength  # type: ignore[attr-defined]

    def export(self, name: str) -> Export:
        return cast(Export, getattr(self._exports, name))

    def write(self, address: int, data: FileBytes) -> None:
        if isinstance(data, OutsideFile):
            self._bytes.set(data.array, address)
            return
        data = source_of(data)[:]
        self._bytes.subarray(address, address + data.nbytes).assign(data)

    def read(self, address: int, size_bytes: int) -> bytes:
        return self._bytes.subarray(address, address + size_bytes).to_bytes()

    def reader(self, address: int, target: memoryview) -> Callable[[], None]:
        copy = self._bytes.subarray(address, address + target.nbytes).assign_to
        return lambda: copy(target)

    def beside(self, module: bytes) -> Callable[[str], Export]:
        imports = to_js({"env": {"memory": self._memory}}, dict_converter=js.Object.fromEntries)
        try:
            exports = js.WebAssembly.Instance.new(js.WebAssembly.Module.new(to_js(module)), imports).exports
        except JsException as error:
            raise EngineError(ErrorCode.HOST_FAILED, f"the browser refused a module beside the model ({error}). Close "
                              "other tabs if memory is short", {"module_bytes": len(module)}) from None
        return lambda name: cast(Export, getattr(exports, name))

    def free(self) -> None:
        """Sends helpers home; the browser's collector takes module and memory once these names are gone."""
        hand_out = getattr(self._exports, "hand_out", None)
        if hand_out is not None:
            hand_out(QUIT, 0, 0)
        del self._exports, self._memory, self._bytes


@cache
def _has_fast_byte_dots() -> bool:
    return has_fast_byte_dots(BrowserHost())


class BrowserHost:
    """The WebAssembly engine of the browser that this worker lives in."""

    def __init__(self, threads: int = 1, help: Help | None = None):
        """`help(module, memory)` sets `threads` - 1 helpers to work on a module."""
        self.name = _engine_name(js.navigator.userAgent)
        self.threads = threads
        self._help = help

    @property
    def byte_dots(self) -> bool:
        return _has_fast_byte_dots()

    def alone(self) -> BrowserHost:
        return BrowserHost()

    def instantiate(self, module: bytes, pages: int) -> BrowserInstance:
        try:
            limits = {"initial": pages, "maximum": pages, "shared": self.threads > 1}
            memory = js.WebAssembly.Memory.new(to_js(limits, dict_converter=js.Object.fromEntries))
            imports = to_js({"env": {"memory": memory}}, dict_converter=js.Object.fromEntries)
            start = perf_counter()
            compiled = js.WebAssembly.Module.new(to_js(module))
            instance = js.WebAssembly.Instance.new(compiled, imports)
        except JsException as error:
            raise EngineError(
                ErrorCode.HOST_FAILED,
                f"{self.name} refused the compiled model ({error}); it asked for {pages} pages of 64 KiB. "
                "Close other tabs if memory is short, or choose a smaller model",
                {"pages": pages, "module_bytes": len(module)},
            ) from None
        if self._help is not None and self.threads > 1:
            self._help(compiled, memory)
        return BrowserInstance(instance.exports, memory, (perf_counter() - start) * 1000)


def _engine_name(user_agent: str) -> str:
    """Name and version as the browser gives them: `Chrome 140.0.0.0`."""
    for pattern in _ENGINES:
        if found := re.search(pattern, user_agent):
            return " ".join(sorted(found.groups(), key=lambda part: part[0].isdigit()))
    return "browser"
