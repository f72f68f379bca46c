"""The 128-bit vector types. One wasm type, four readings of it; `view` changes the reading and costs nothing."""

from __future__ import annotations

from typing import Self, TypeVar

from tinypylm.errors import KernelError
from tinypylm.wasm.values import Number, Value, _Float, f32, i32

T = TypeVar("T", bound="v128")


class v128(Value):
    """128 bits; bitwise operations work on every reading."""

    name, wasm_type = "v128", b"\x7b"
    __slots__ = ()

    def view(self, shape: type[T]) -> T:
        """The same bits, read as another shape."""
        return shape(self.take(), self.reads, kernel=self._kernel)

    def _operand(self, other: Self | Number) -> Self:
        """A number is a constant of the kernel: V8 would make it anew wherever it stands, in loops too."""
        if isinstance(other, int | float) and self._kernel is not None:
            return self._kernel.constant(type(self), other)
        return self.lift(other)

    def __and__(self, other: v128 | int) -> Self:
        return self.apply("v128.and", self, self._operand(other) if isinstance(other, int) else other)

    def __or__(self, other: v128) -> Self:
        return self.apply("v128.or", self, other)

    def __xor__(self, other: v128) -> Self:
        return self.apply("v128.xor", self, other)

    def and_not(self, mask: v128) -> Self:
        """These bits where `mask` has zeros, zero elsewhere."""
        return self.apply("v128.andnot", self, mask)

    def any_true(self) -> i32:
        """1 if any bit is set."""
        return i32.apply("v128.any_true", self)

    def shuffle32(self, other: v128, *lanes: int) -> Self:
        """Four 32-bit lanes: 0-3 are this vector's, 4-7 the other's."""
        if len(lanes) != 4 or not all(0 <= lane < 8 for lane in lanes):
            raise KernelError(f"expected four lanes of 0..7, found {lanes}")
        return self.shuffle(other, *(4 * lane + byte for lane in lanes for byte in range(4)))

    def shuffle(self, other: v128, *lanes: int) -> Self:
        """Sixteen bytes: 0-15 are this vector's, 16-31 the other's."""
        return self.apply("i8x16.shuffle", self, other, immediate=bytes(lanes))

    def broadcast32(self, lane: int) -> Self:
        """One 32-bit lane in all four. The vector must be named (it is read twice)."""
        return self.shuffle32(self, lane, lane, lane, lane)


class _Integers(v128):
    __slots__ = ()

    @classmethod
    def const(cls, value: Number) -> Self:
        return cls.apply(f"{cls.name}.splat", i32.const(value))


class i8x16(_Integers):
    name = "i8x16"
    __slots__ = ()

    def dot_add(self, other: i8x16, total: i32x4) -> i32x4:
        """total + products of the lanes, added in fours. The same everywhere only if no lane of `other` exceeds 127."""
        return i32x4.apply("i32x4.relaxed_dot_i8x16_i7x16_add_s", self, other, total)


class i16x8(_Integers):
    name = "i16x8"
    __slots__ = ()

    @staticmethod
    def narrow(low: i32x4, high: i32x4) -> i16x8:
        """Both vectors' lanes, saturated to 16 bits."""
        return i16x8.apply("i16x8.narrow_i32x4_s", low, high)

    def __lshift__(self, bits: int) -> i16x8:
        return i16x8.apply("i16x8.shl", self, i32.const(bits))

    def __rshift__(self, bits: int) -> i16x8:
        return i16x8.apply("i16x8.shr_s", self, i32.const(bits))

    def shr_u(self, bits: int) -> i16x8:
        """Zeros come in from above."""
        return i16x8.apply("i16x8.shr_u", self, i32.const(bits))

    def dot(self, other: i16x8) -> i32x4:
        """Products of the lanes, added in pairs: exact in 32 bits."""
        return i32x4.apply("i32x4.dot_i16x8_s", self, other)


class i32x4(_Integers):
    name = "i32x4"
    __slots__ = ()

    @staticmethod
    def splat(x: i32) -> i32x4:
        return i32x4.apply("i32x4.splat", x)

    @staticmethod
    def truncate(x: f32x4) -> i32x4:
        """Towards zero, saturating; NaN gives 0."""
        return i32x4.apply("i32x4.trunc_sat_f32x4_s", x)

    def __lshift__(self, bits: int) -> i32x4:
        return i32x4.apply("i32x4.shl", self, i32.const(bits))

    def __rshift__(self, bits: int) -> i32x4:
        """The sign comes in from above."""
        return i32x4.apply("i32x4.shr_s", self, i32.const(bits))

    def max(self, other: i32x4) -> i32x4:
        """Of each lane the larger one, as signed integers."""
        return i32x4.apply("i32x4.max_s", self, other)

    def __gt__(self, other: int) -> i32x4:
        return i32x4.apply("i32x4.gt_s", self, self._operand(other))


class f32x4(_Float, v128):
    name = "f32x4"
    __slots__ = ()

    @classmethod
    def const(cls, value: Number) -> Self:
        return cls.apply("f32x4.splat", f32.const(value))

    @staticmethod
    def splat(x: f32) -> f32x4:
        return f32x4.apply("f32x4.splat", x)

    @staticmethod
    def of(n: i32x4) -> f32x4:
        """Signed integers, rounded."""
        return f32x4.apply("f32x4.convert_i32x4_s", n)

    def pmax(self, other: Self | Number) -> f32x4:
        """Each lane: other if self < other, else self (so NaN in self stays). One x86 instruction, where max is six."""
        return f32x4.apply("f32x4.pmax", self, self._operand(other))

    def pmin(self, other: Self | Number) -> f32x4:
        """Each lane: other if other < self, else self (so NaN in self stays)."""
        return f32x4.apply("f32x4.pmin", self, self._operand(other))

    def lane(self, i: int) -> f32:
        return f32.apply("f32x4.extract_lane", self, immediate=bytes([i]))

    def with_lane(self, i: int, x: f32) -> f32x4:
        return f32x4.apply("f32x4.replace_lane", self, x, immediate=bytes([i]))

    def sum(self) -> f32:
        """(l0 + l2) + (l1 + l3), the one order in which lanes are added. The vector must be named."""
        return (self.lane(0) + self.lane(2)) + (self.lane(1) + self.lane(3))

    def largest(self) -> f32:
        """The largest lane; NaN if one is. The vector must be named."""
        return self.lane(0).max(self.lane(1)).max(self.lane(2).max(self.lane(3)))

    def __lt__(self, other: Self | Number) -> v128:
        return v128.apply("f32x4.lt", self, self._operand(other))

    def __gt__(self, other: Self | Number) -> v128:
        return v128.apply("f32x4.gt", self, self._operand(other))

    def equals(self, other: Self | Number) -> v128:
        return v128.apply("f32x4.eq", self, self._operand(other))

    def differs(self, other: Self | Number) -> v128:
        return v128.apply("f32x4.ne", self, self._operand(other))
