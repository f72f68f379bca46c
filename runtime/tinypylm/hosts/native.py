"""The engine under CPython: wasmtime (PyPI). The only import of `wasmtime` in the runtime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from threading import Thread
from time import perf_counter
from typing import Any

import wasmtime
from wasmtime import _bindings as ffi

from tinypylm.errors import EngineError, ErrorCode
from tinypylm.hosts import Export
from tinypylm.kernels.threads import PATIENCE_NS, QUIT
from tinypylm.source import FileBytes, source_of


class NativeHost:
    """Compiles with Cranelift, in this process; helpers are threads of it."""

    def __init__(self, threads: int = 1, byte_dots: bool = False) -> None:
        """Byte dots only where they are asked for: with Cranelift's code (version 50) q4_0 is faster without them."""
        self.threads, self.byte_dots = threads, byte_dots
        self.name = f"wasmtime {version('wasmtime')}"
        config = wasmtime.Config()
        config.cranelift_opt_level = "speed"
        config.wasm_threads = config.shared_memory = threads > 1
        self._engine = wasmtime.Engine(config)

    def alone(self) -> NativeHost:
        return NativeHost(byte_dots=self.byte_dots)

    def instantiate(self, module: bytes, pages: int) -> NativeInstance:
        return NativeInstance(self._engine, module, pages, self.threads)


class _SharedMemory(wasmtime.SharedMemory):
    """One that can be imported: the package's own (version 50) lacks the constant and a level of indirection is off."""

    def _as_extern(self) -> ffi.wasmtime_extern_t:
        return ffi.wasmtime_extern_t(_EXTERN_SHAREDMEMORY, ffi.wasmtime_extern_union(sharedmemory=self.ptr()))


_EXTERN_SHAREDMEMORY = 4  # WASMTIME_EXTERN_SHAREDMEMORY in wasmtime/extern.h


class NativeInstance:
    """A module, its store and its memory; `_heap` is the memory's address range as a writable view."""

    trap: type[Exception] = wasmtime.Trap

    def __init__(self, engine: wasmtime.Engine, module: bytes, pages: int, threads: int):
        start = perf_counter()
        self._store, self._engine = wasmtime.Store(engine), engine
        self._readers: list[memoryview] = []
        try:
            compiled = wasmtime.Module(engine, module)
            self.compile_ms = (perf_counter() - start) * 1000
            limits = wasmtime.Limits(pages, pages)
            self._start(engine, compiled, limits, threads)
        except wasmtime.WasmtimeError as error:
            raise EngineError(ErrorCode.HOST_FAILED, f"wasmtime refused the module: {error}") from error

    def _start(self, engine: wasmtime.Engine, module: wasmtime.Module, limits: wasmtime.Limits, threads: int) -> None:
        self._helpers: list[Thread] = []
        if threads == 1:
            memory = wasmtime.Memory(self._store, wasmtime.MemoryType(limits))
            self._take(memory.data_len(self._store), memory.data_ptr(self._store))
            self._memory: wasmtime.Memory | wasmtime.SharedMemory = memory
        else:
            self._memory = shared = _SharedMemory(engine, wasmtime.MemoryType(limits, shared=True))
            self._take(shared.data_len(), shared.data_ptr())
        self._instance = wasmtime.Instance(self._store, module, [self._memory])
        for n in range(1, threads):
            self._helpers.append(Thread(target=_help, args=(engine, module, self._memory, n), daemon=True))
            self._helpers[-1].start()

    def _take(self, size_bytes: int, start: Any) -> None:
        self.memory_bytes = size_bytes
        address = ctypes.addressof(start.contents)
        self._heap = memoryview((ctypes.c_ubyte * size_bytes).from_address(address)).cast("B")

    def export(self, name: str) -> Export:
        return self._function(self._instance, name)

    def beside(self, module: bytes) -> Callable[[str], Export]:
        try:
            instance = wasmtime.Instance(self._store, wasmtime.Module(self._engine, module), [self._memory])
        except wasmtime.WasmtimeError as error:
            raise EngineError(ErrorCode.HOST_FAILED, f"wasmtime refused the module: {error}") from error
        return lambda name: self._function(instance, name)

    def _function(self, instance: wasmtime.Instance, name: str) -> Export:
        function = instance.exports(self._store)[name]
        if not isinstance(function, wasmtime.Func):
            raise EngineError(ErrorCode.HOST_FAILED, f"expected {name} to be an exported function")
        store = self._store
        return lambda *arguments: function(store, *arguments)

    def write(self, address: int, data: FileBytes) -> None:
        self._heap[address:address + len(data)] = source_of(data)[:]

    def read(self, address: int, size_bytes: int) -> bytes:
        return self._heap[address:address + size_bytes].tobytes()

    def reader(self, address: int, target: memoryview) -> Callable[[], None]:
        source = self._heap[address:address + len(target)]
        self._readers.append(source)

        def read() -> None:
            target[:] = source

        return read

    def free(self) -> None:
        if self._helpers:
            self.export("hand_out")(QUIT, 0, 0)
        for helper in self._helpers:
            helper.join(PATIENCE_NS / 1e9)  # one that hangs keeps what it needs, and is left behind
        for view in (*self._readers, self._heap):
            view.release()
        self._store.close()


def _help(engine: wasmtime.Engine, module: wasmtime.Module, memory: wasmtime.SharedMemory, number: int) -> None:
    """The life of a helper: an instance of its own over the same memory, and jobs until it is told to quit.

    It traps where thread 0 has given up waiting for another helper; then there is nothing left to do.
    """
    store = wasmtime.Store(engine)
    serve = wasmtime.Instance(store, module, [memory]).exports(store)["serve"]
    assert isinstance(serve, wasmtime.Func)
    with suppress(wasmtime.Trap):
        serve(store, number)
    store.close()
