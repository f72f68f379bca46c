"""Typed expressions: what a kernel computes with.

A `Value` is code that leaves one value on the wasm stack. It is consumed once unless it is named with `k.let`, and one
that reads memory or a `k.var` goes stale at the next store, assignment or call, so that code means what its order says.
Breaking either rule raises `KernelError` at the line that does it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeVar

from tinypylm.errors import KernelError
from tinypylm.wasm.binary import sleb, uleb
from tinypylm.wasm.opcodes import OPCODES

if TYPE_CHECKING:
    from tinypylm.wasm.kernel import Kernel

Number = int | float
V = TypeVar("V", bound="Value")


class Moment(NamedTuple):
    """A kernel, and how many stores, assignments and calls it had recorded."""

    kernel: Kernel
    epoch: int


class Slot(NamedTuple):
    """A wasm local of one kernel."""

    kernel: Kernel
    number: int
    mutable: bool


class Value:
    """Code that leaves one value on the stack; with a `slot`, a wasm local that can be read any number of times.

    It belongs to the kernel that any of its operands belongs to; a constant by itself belongs to none.
    """

    name: ClassVar[str]
    wasm_type: ClassVar[bytes]
    __slots__ = ("_code", "_kernel", "_reads", "_slot", "_used")

    def __init__(self, code: bytes = b"", reads: Moment | None = None, slot: Slot | None = None,
                 kernel: Kernel | None = None):
        self._code, self._reads, self._slot, self._used = code, reads, slot, False
        self._kernel = slot.kernel if slot else reads.kernel if reads else kernel

    @property
    def reads(self) -> Moment | None:
        """The moment of mutable state that this value depends on, if any."""
        slot = self._slot
        if slot is not None:
            return Moment(slot.kernel, slot.kernel.epoch) if slot.mutable else None
        return self._reads

    def take(self) -> bytes:
        """The code of this value, for the one place that consumes it."""
        if self._slot is not None:
            return OPCODES["local.get"] + uleb(self._slot.number)
        if self._used:
            raise KernelError(f"this {self.name} value is used twice: name it with k.let(...)")
        if self._reads is not None and self._reads.kernel.epoch != self._reads.epoch:
            raise KernelError(f"this {self.name} value was read before a later store, assignment or call: "
                              "name it with k.let(...) where it is read")
        self._used = True
        return self._code

    @classmethod
    def lift(cls, value: Self | Number) -> Self:
        """`value` itself, or a constant of this type."""
        if isinstance(value, cls):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return cls.const(value)
        raise KernelError(f"expected {cls.name}, found {getattr(value, 'name', None) or repr(value)}")

    @classmethod
    def const(cls, value: Number) -> Self:
        """A constant; vectors take it in every lane."""
        raise KernelError(f"{cls.name} has no constants: splat a scalar")

    @classmethod
    def apply(cls, instruction: str, *operands: Value, immediate: bytes = b"") -> Self:
        """The result, of this type, of one instruction."""
        reads = next((r for r in [o.reads for o in operands] if r is not None), None)
        kernel = next((o._kernel for o in operands if o._kernel is not None), None)
        code = b"".join([o.take() for o in operands]) + OPCODES[instruction] + immediate
        return cls(code, reads, kernel=kernel)

    def _operand(self, other: Self | Number) -> Self:
        """`other` as the second operand of an operation on this value."""
        return self.lift(other)

    def _binary(self, operation: str, other: Self | Number, swapped: bool = False) -> Self:
        right = self._operand(other)
        pair = (right, self) if swapped else (self, right)
        return self.apply(f"{self.name}.{operation}", *pair)

    def set(self, value: Self | Number) -> None:
        """Assigns to a `k.var`."""
        if self._slot is None or not self._slot.mutable:
            raise KernelError("only a k.var(...) can be assigned to")
        self._slot.kernel.assign(self._slot.number, self.lift(value))

    def __add__(self, other: Self | Number) -> Self:
        return self._binary("add", other)

    def __radd__(self, other: Number) -> Self:
        return self._binary("add", other, swapped=True)

    def __sub__(self, other: Self | Number) -> Self:
        return self._binary("sub", other)

    def __rsub__(self, other: Number) -> Self:
        return self._binary("sub", other, swapped=True)

    def __mul__(self, other: Self | Number) -> Self:
        return self._binary("mul", other)

    def __rmul__(self, other: Number) -> Self:
        return self._binary("mul", other, swapped=True)

    def __iadd__(self, other: Self | Number) -> Self:
        total = self + other
        if self._slot is None or not self._slot.mutable:
            return total
        self.set(total)
        return self


class _Float(Value):
    """What scalar and vector floats share."""

    __slots__ = ()

    def __truediv__(self, other: Self | Number) -> Self:
        return self._binary("div", other)

    def __rtruediv__(self, other: Number) -> Self:
        return self._binary("div", other, swapped=True)

    def __neg__(self) -> Self:
        return self.apply(f"{self.name}.neg", self)

    def __abs__(self) -> Self:
        return self.apply(f"{self.name}.abs", self)

    def sqrt(self) -> Self:
        return self.apply(f"{self.name}.sqrt", self)

    def nearest(self) -> Self:
        """Rounded to an integer, half to even."""
        return self.apply(f"{self.name}.nearest", self)

    def max(self, other: Self | Number) -> Self:
        """The larger; NaN if either is."""
        return self._binary("max", other)

    def min(self, other: Self | Number) -> Self:
        """The smaller; NaN if either is."""
        return self._binary("min", other)


class i32(Value):
    """A 32-bit integer. Comparisons and `>>` are signed; `shr_u` shifts in zeros."""

    name, wasm_type = "i32", b"\x7f"
    __slots__ = ()

    @classmethod
    def const(cls, value: Number) -> Self:
        if type(value) is not int or not -2**31 <= value < 2**32:
            raise KernelError(f"expected a 32-bit integer constant, found {value!r}")
        return cls(OPCODES["i32.const"] + sleb(value if value < 2**31 else value - 2**32))

    def __and__(self, other: i32 | int) -> i32:
        return self._binary("and", i32.lift(other))

    def __or__(self, other: i32 | int) -> i32:
        return self._binary("or", i32.lift(other))

    def __lshift__(self, bits: int) -> i32:
        return self._binary("shl", bits)

    def __rshift__(self, bits: int) -> i32:
        return self._binary("shr_s", bits)

    def shr_u(self, bits: int) -> i32:
        return self._binary("shr_u", bits)

    def __lt__(self, other: i32 | int) -> i32:
        return self._binary("lt_s", i32.lift(other))

    def __le__(self, other: i32 | int) -> i32:
        return self._binary("le_s", i32.lift(other))

    def __gt__(self, other: i32 | int) -> i32:
        return self._binary("gt_s", i32.lift(other))

    def __ge__(self, other: i32 | int) -> i32:
        return self._binary("ge_s", i32.lift(other))

    def equals(self, other: i32 | int) -> i32:
        return self._binary("eq", i32.lift(other))

    def differs(self, other: i32 | int) -> i32:
        return self._binary("ne", i32.lift(other))

    @staticmethod
    def truncate(x: f64) -> i32:
        """Towards zero, saturating; NaN gives 0."""
        return i32.apply("i32.trunc_sat_f64_s", x)

    @staticmethod
    def bits(x: f32) -> i32:
        """The bit pattern."""
        return i32.apply("i32.reinterpret_f32", x)


class _Scalar(_Float):
    """Scalar floats: constants and comparisons."""

    _format: ClassVar[str]
    __slots__ = ()

    @classmethod
    def const(cls, value: Number) -> Self:
        return cls(OPCODES[f"{cls.name}.const"] + struct.pack(cls._format, value))

    def __lt__(self, other: Self | Number) -> i32:
        return i32.apply(f"{self.name}.lt", self, self.lift(other))

    def __gt__(self, other: Self | Number) -> i32:
        return i32.apply(f"{self.name}.gt", self, self.lift(other))

    def equals(self, other: Self | Number) -> i32:
        return i32.apply(f"{self.name}.eq", self, self.lift(other))


class f32(_Scalar):
    name, wasm_type, _format = "f32", b"\x7d", "<f"
    __slots__ = ()

    @staticmethod
    def of(n: i32) -> f32:
        """A signed integer, rounded."""
        return f32.apply("f32.convert_i32_s", n)

    @staticmethod
    def rounded(x: f64) -> f32:
        return f32.apply("f32.demote_f64", x)

    @staticmethod
    def from_bits(n: i32) -> f32:
        return f32.apply("f32.reinterpret_i32", n)


class f64(_Scalar):
    name, wasm_type, _format = "f64", b"\x7c", "<d"
    __slots__ = ()

    @staticmethod
    def of(n: i32) -> f64:
        return f64.apply("f64.convert_i32_s", n)

    @staticmethod
    def widened(x: f32) -> f64:
        return f64.apply("f64.promote_f32", x)
