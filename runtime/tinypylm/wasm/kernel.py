"""Kernels: one wasm function each, recorded while a Python function runs.

`with` is control flow, subscripts of a `Ptr` are memory, a plain Python `for` unrolls. A parameter annotated with a
value type or `Ptr` becomes a wasm parameter; keyword-only parameters are constants of the build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

from tinypylm.errors import KernelError
from tinypylm.wasm.binary import EMPTY_BLOCK, FunctionCode, MemoryImport, encode_module, sleb, uleb
from tinypylm.wasm.opcodes import OPCODES
from tinypylm.wasm.values import Moment, Slot, Value, f32, f64, i32
from tinypylm.wasm.vectors import f32x4, i8x16, i16x8, i32x4, v128

V = TypeVar("V", bound=Value)
Index = i32 | int


class View(Generic[V]):
    """One reading of the memory behind a pointer; `p.f32x4[i, 4]` reads at element i + 4, the constant folded in."""

    def __init__(self, pointer: Ptr, kind: type[V], load: str, store: str | None, element_bytes: int):
        self._pointer, self._kind, self._load, self._store = pointer, kind, load, store
        self._shift = element_bytes.bit_length() - 1

    def __getitem__(self, index: Index | tuple[Index, int]) -> V:
        kernel = self._pointer.kernel
        address, offset = self._pointer.address(index, self._shift)
        return self._kind(address + OPCODES[self._load] + b"\0" + uleb(offset), Moment(kernel, kernel.epoch))

    def __setitem__(self, index: Index | tuple[Index, int], value: V | float) -> None:
        if self._store is None:
            raise KernelError(f"{self._load} widens what it reads; there is no store that narrows")
        address, offset = self._pointer.address(index, self._shift)
        kernel = self._pointer.kernel
        kernel.emit(address + self._kind.lift(value).take() + OPCODES[self._store] + b"\0" + uleb(offset))
        kernel.epoch += 1


class Ptr:
    """The address of an array: an i32 value (or none) plus a constant. Views are named after what they read.

    Indices count elements of the view and may be unaligned to the vector; address arithmetic must not wrap.
    """

    def __init__(self, kernel: Kernel, base: i32 | None, offset: int = 0):
        self.kernel, self._base, self._offset = kernel, base, offset
        self.f32: View[f32] = View(self, f32, "f32.load", "f32.store", 4)
        self.i32: View[i32] = View(self, i32, "i32.load", "i32.store", 4)
        self.i32_bytes: View[i32] = View(self, i32, "i32.load", "i32.store", 1)  # indexed by bytes
        self.u16: View[i32] = View(self, i32, "i32.load16_u", "i32.store16", 2)
        self.u8: View[i32] = View(self, i32, "i32.load8_u", "i32.store8", 1)
        self.i8: View[i32] = View(self, i32, "i32.load8_s", "i32.store8", 1)
        self.f32x4: View[f32x4] = View(self, f32x4, "v128.load", "v128.store", 4)
        self.i32x4: View[i32x4] = View(self, i32x4, "v128.load", "v128.store", 4)
        self.i8x16: View[i8x16] = View(self, i8x16, "v128.load", "v128.store", 1)
        self.i16x8: View[i16x8] = View(self, i16x8, "v128.load", "v128.store", 2)
        self.i8x8: View[i16x8] = View(self, i16x8, "v128.load8x8_s", None, 1)
        self.i16x4: View[i32x4] = View(self, i32x4, "v128.load16x4_s", None, 2)
        self.u16x4: View[i32x4] = View(self, i32x4, "v128.load16x4_u", None, 2)
        self.bytes16: View[v128] = View(self, v128, "v128.load", "v128.store", 1)

    @property
    def value(self) -> i32:
        """The address as a value."""
        if self._base is None:
            return i32.const(self._offset)
        return self._base + self._offset if self._offset else self._base

    def __add__(self, size: Index) -> Ptr:
        """The address `size` bytes further; a value that is not a local is named first."""
        if isinstance(size, int):
            return Ptr(self.kernel, self._base, self._offset + size)
        base = size if self._base is None else self._base + size
        return Ptr(self.kernel, self.kernel.let(base), self._offset)

    def address(self, index: Index | tuple[Index, int], shift: int) -> tuple[bytes, int]:
        """Code of the address, and the constant that goes into the instruction."""
        element, constant = index if isinstance(index, tuple) else (index, 0)
        dynamic = None if isinstance(element, int) else element
        if isinstance(element, int):
            constant += element
        offset = self._offset + (constant << shift)
        if offset < 0:
            raise KernelError(f"expected a constant offset of at least 0, found {offset}")
        return self._dynamic(dynamic, shift), offset

    def _dynamic(self, element: i32 | None, shift: int) -> bytes:
        base = b"" if self._base is None else self._base.take()
        if element is None:
            return base or i32.const(0).take()
        scaled = element.take() + (OPCODES["i32.const"] + sleb(shift) + OPCODES["i32.shl"] if shift else b"")
        return base + scaled + OPCODES["i32.add"] if base else scaled


class Function(Generic[V]):
    """A finished kernel in a module; call it with `k.call` (no result) or `k.compute`."""

    def __init__(self, number: int, parameters: list[type[Value]], result: type[V] | None):
        self.number, self.parameters, self.result = number, parameters, result


class Kernel:
    """Records one function body."""

    def __init__(self, name: str, parameters: list[type[Value]]):
        self.name, self.parameters, self.code, self.epoch = name, parameters, bytearray(), 0
        self._locals = bytearray()
        self._entry, self._constants = bytearray(), dict[tuple[type[Value], str], Value]()

    def emit(self, code: bytes) -> None:
        self.code += code

    def effect(self, code: bytes) -> None:
        """Records instructions that change memory or wait for another thread."""
        self.emit(code)
        self.epoch += 1

    def result(self, kind: type[V], code: bytes) -> V:
        """The value that such instructions leave, named."""
        self.epoch += 1
        return self.let(kind(code))

    def trap(self) -> None:
        """Ends the call with an error of the host."""
        self.emit(OPCODES["unreachable"])

    def assign(self, number: int, value: Value) -> None:
        self.emit(value.take() + OPCODES["local.set"] + uleb(number))
        self.epoch += 1

    def _local(self, value: V, mutable: bool) -> V:
        number = len(self.parameters) + len(self._locals)
        self.emit(value.take() + OPCODES["local.set"] + uleb(number))
        self._locals += value.wasm_type
        return type(value)(slot=Slot(self, number, mutable))

    def let(self, value: V) -> V:
        """Names a value: it is computed here, once, and may be read any number of times."""
        return self._local(value, mutable=False)

    def var(self, value: V) -> V:
        """A mutable local that starts as `value`."""
        return self._local(value, mutable=True)

    def constant(self, kind: type[V], number: float) -> V:
        """A number in every lane of a vector, made once: at the function's entry."""
        key = kind, str(number)  # -0.0 equals 0.0
        if key not in self._constants:
            here, self.code = self.code, self._entry
            self._constants[key] = self.let(kind.const(number))
            self.code = here
        return cast(V, self._constants[key])

    def at(self, address: int) -> Ptr:
        """A pointer to a constant address."""
        return Ptr(self, None, address)

    def pointer(self, address: i32) -> Ptr:
        return Ptr(self, self.let(address))

    @contextmanager
    def range(self, stop: Index, step: int = 1, start: Index = 0) -> Iterator[i32]:
        """`for i in range(start, stop, step)` with step > 0; `stop` is evaluated once."""
        bound = stop if isinstance(stop, int) else self.let(stop)
        i = self.var(i32.lift(start))
        with self.loop() as leave:
            leave(i >= bound)
            yield i
            i += step

    @contextmanager
    def loop(self) -> Iterator[Callable[[i32], None]]:
        """An endless loop; call what it gives with a condition to leave from the loop's own level."""
        self.emit(OPCODES["block"] + EMPTY_BLOCK + OPCODES["loop"] + EMPTY_BLOCK)
        yield lambda condition: self.emit(condition.take() + OPCODES["br_if"] + uleb(1))
        self.emit(OPCODES["br"] + uleb(0) + OPCODES["end"] + OPCODES["end"])
        self.epoch += 1

    @contextmanager
    def when(self, condition: i32) -> Iterator[None]:
        """The body runs if `condition` is not 0."""
        self.emit(condition.take() + OPCODES["if"] + EMPTY_BLOCK)
        yield
        self.emit(OPCODES["end"])
        self.epoch += 1

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """The `else` of the `when` that has just ended."""
        if self.code[-1:] != OPCODES["end"]:
            raise KernelError("k.otherwise() must follow k.when(...) at once")
        del self.code[-1:]
        self.emit(OPCODES["else"])
        yield
        self.emit(OPCODES["end"])
        self.epoch += 1

    def select(self, condition: i32, yes: V, no: V) -> V:
        """`yes` if `condition` is not 0, else `no`; both are computed."""
        return type(yes).apply("select", yes, no, condition)

    def call(self, function: Function[V], *arguments: Value | Ptr | float) -> None:
        """Calls a kernel that gives nothing."""
        self.emit(self._call(function, arguments))
        self.epoch += 1

    def compute(self, function: Function[V], *arguments: Value | Ptr | float) -> V:
        """The result of a kernel, named."""
        if function.result is None:
            raise KernelError("this kernel gives no result: use k.call")
        code = self._call(function, arguments)
        self.epoch += 1
        return self.let(function.result(code))

    def _call(self, function: Function[V], arguments: tuple[Value | Ptr | float, ...]) -> bytes:
        if len(arguments) != len(function.parameters):
            raise KernelError(f"expected {len(function.parameters)} arguments, found {len(arguments)}")
        values = [
            kind.lift(argument.value if isinstance(argument, Ptr) else argument)
            for kind, argument in zip(function.parameters, arguments, strict=True)
        ]
        return b"".join(v.take() for v in values) + OPCODES["call"] + uleb(function.number)

    def finished(self, result: Value | None, exported: bool) -> FunctionCode:
        tail = b"" if result is None else result.take()
        return FunctionCode(
            self.name, b"".join(p.wasm_type for p in self.parameters), b"" if result is None else result.wasm_type,
            bytes(self._locals), bytes(self._entry + self.code) + tail, exported)


class ModuleBuilder:
    """Collects kernels; a kernel can call those added before it."""

    def __init__(self, memory: MemoryImport):
        self._memory = memory
        self._functions: list[FunctionCode] = []

    def add(self, body: Callable[..., Value | None], name: str, constants: Mapping[str, object], *,
            export: bool = False) -> Function[Value]:
        """Records `body` with the given build constants, under a name of its own."""
        kinds = _parameter_kinds(body)
        kernel = Kernel(name, [i32 if kind is Ptr else kind for kind in kinds])
        locals_ = [kind(slot=Slot(kernel, i, False)) for i, kind in enumerate(kernel.parameters)]
        arguments = [Ptr(kernel, v) if kind is Ptr and isinstance(v, i32) else v
                     for kind, v in zip(kinds, locals_, strict=True)]
        result = body(kernel, *arguments, **constants)
        self._functions.append(kernel.finished(result, export))
        return Function(len(self._functions) - 1, kernel.parameters, None if result is None else type(result))

    def encode(self) -> bytes:
        return encode_module(self._memory, self._functions)


_ANNOTATIONS: dict[str, type] = {k.__name__: k for k in (i32, f32, f64, v128, f32x4, i32x4, i16x8, Ptr)}


def _parameter_kinds(body: Callable[..., object]) -> list[type]:
    """The kinds of a kernel's wasm parameters, from its annotations; the first parameter is the kernel itself."""
    code = body.__code__
    names = code.co_varnames[1:code.co_argcount]
    annotations = [body.__annotations__.get(n, "none") for n in names]
    kinds = [_ANNOTATIONS.get(a if isinstance(a, str) else a.__name__) for a in annotations]
    if None in kinds:
        raise KernelError(f"{body.__qualname__}: expected parameters annotated with one of "
                          f"{', '.join(_ANNOTATIONS)}; found {', '.join(map(str, annotations))}")
    return [kind for kind in kinds if kind is not None]
