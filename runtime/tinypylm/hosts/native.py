"""The engine under CPython: wasmtime (PyPI). The only import of `wasmtime` in the runtime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter

import wasmtime

from tinypylm.errors import EngineError, ErrorCode
from tinypylm.hosts import Buffer, Export


class NativeHost:
    """Compiles with Cranelift, in this process."""

    def __init__(self) -> None:
        self.name = f"wasmtime {version('wasmtime')}"
        config = wasmtime.Config()
        config.cranelift_opt_level = "speed"
        self._engine = wasmtime.Engine(config)

    def instantiate(self, module: bytes, pages: int) -> NativeInstance:
        return NativeInstance(self._engine, module, pages)


class NativeInstance:
    """A module, its store and its memory; `_heap` is the memory's address range as a writable view."""

    def __init__(self, engine: wasmtime.Engine, module: bytes, pages: int):
        start = perf_counter()
        self._store = wasmtime.Store(engine)
        try:
            compiled = wasmtime.Module(engine, module)
            self.compile_ms = (perf_counter() - start) * 1000
            memory = wasmtime.Memory(self._store, wasmtime.MemoryType(wasmtime.Limits(pages, pages)))
            self._instance = wasmtime.Instance(self._store, compiled, [memory])
        except wasmtime.WasmtimeError as error:
            raise EngineError(ErrorCode.HOST_FAILED, f"wasmtime refused the module: {error}") from error
        self.memory_bytes = memory.data_len(self._store)
        start_address = ctypes.addressof(memory.data_ptr(self._store).contents)
        self._memory = memory
        self._readers: list[memoryview] = []
        self._heap = memoryview((ctypes.c_ubyte * self.memory_bytes).from_address(start_address)).cast("B")

    def export(self, name: str) -> Export:
        function = self._instance.exports(self._store)[name]
        if not isinstance(function, wasmtime.Func):
            raise EngineError(ErrorCode.HOST_FAILED, f"expected {name} to be an exported function")
        store = self._store
        return lambda *arguments: function(store, *arguments)

    def write(self, address: int, data: Buffer) -> None:
        self._heap[address:address + len(data)] = memoryview(data)

    def read(self, address: int, size_bytes: int) -> bytes:
        return self._heap[address:address + size_bytes].tobytes()

    def reader(self, address: int, target: memoryview) -> Callable[[], None]:
        source = self._heap[address:address + len(target)]
        self._readers.append(source)

        def read() -> None:
            target[:] = source

        return read

    def free(self) -> None:
        for view in (*self._readers, self._heap):
            view.release()
        self._store.close()
