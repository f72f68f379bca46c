"""Binary encoding of a module (WebAssembly specification, section 5): integers, sections, and their order.

Knows nothing of kernels: it turns finished function bodies into the bytes that an engine compiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EMPTY_BLOCK = b"\x40"
_MAGIC = b"\0asm\1\0\0\0"


def uleb(n: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def sleb(n: int) -> bytes:
    """Signed LEB128."""
    out = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        if (n == 0 and not low & 0x40) or (n == -1 and low & 0x40):
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def name_bytes(text: str) -> bytes:
    """A name: its UTF-8 length and bytes."""
    data = text.encode()
    return uleb(len(data)) + data


def vector(items: Iterable[bytes]) -> bytes:
    """A vector: the count and the items."""
    listed = list(items)
    return uleb(len(listed)) + b"".join(listed)


@dataclass(frozen=True, slots=True)
class MemoryImport:
    """The memory that the module imports as `env.memory`, in pages of 64 KiB."""

    minimum_pages: int
    maximum_pages: int
    shared: bool

    def encode(self) -> bytes:
        limits = bytes([0x03 if self.shared else 0x01]) + uleb(self.minimum_pages) + uleb(self.maximum_pages)
        return name_bytes("env") + name_bytes("memory") + b"\x02" + limits


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """One finished function: wasm value types of its parameters, result and locals, and its instructions."""

    name: str
    parameters: bytes
    result: bytes
    locals: bytes
    code: bytes
    exported: bool

    @property
    def signature(self) -> bytes:
        return b"\x60" + uleb(len(self.parameters)) + self.parameters + uleb(len(self.result)) + self.result

    def body(self) -> bytes:
        code = vector(_runs(self.locals)) + self.code + b"\x0b"
        return uleb(len(code)) + code


def _runs(types: bytes) -> list[bytes]:
    """Locals are declared as runs of one type."""
    runs: list[bytes] = []
    start = 0
    for i in range(1, len(types) + 1):
        if i == len(types) or types[i] != types[start]:
            runs.append(uleb(i - start) + types[start:start + 1])
            start = i
    return runs


def encode_module(memory: MemoryImport, functions: list[FunctionCode]) -> bytes:
    """The bytes of a module that imports one memory and exports the functions marked so."""
    signatures = sorted({f.signature for f in functions})
    exports = [name_bytes(f.name) + b"\0" + uleb(i) for i, f in enumerate(functions) if f.exported]
    names = vector(uleb(i) + name_bytes(f.name) for i, f in enumerate(functions))
    return _MAGIC + b"".join((
        _section(1, vector(signatures)),
        _section(2, vector([memory.encode()])),
        _section(3, vector(uleb(signatures.index(f.signature)) for f in functions)),
        _section(7, vector(exports)),
        _section(10, vector(f.body() for f in functions)),
        _section(0, name_bytes("name") + b"\x01" + uleb(len(names)) + names),
    ))


def _section(number: int, payload: bytes) -> bytes:
    return bytes([number]) + uleb(len(payload)) + payload
