"""The one table of instructions, named as in the WebAssembly specification (binary format, section 5.4).

Immediates (local numbers, constants, memory arguments, lanes) are appended by whoever emits the instruction.
A test assembles every name with an outside assembler and compares the bytes.
"""

from __future__ import annotations


def _uleb(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _series(prefix: bytes, first: int, names: str) -> dict[str, bytes]:
    """Consecutive opcodes; `-` skips a number."""
    return {
        name: prefix + (_uleb(first + i) if prefix else bytes([first + i]))
        for i, name in enumerate(names.split()) if name != "-"
    }


def _plain(first: int, names: str) -> dict[str, bytes]:
    return _series(b"", first, names)


def _simd(first: int, names: str) -> dict[str, bytes]:
    return _series(b"\xfd", first, names)


def _each(shape: str, operations: str) -> str:
    """`f32x4`, `add - mul` -> `f32x4.add - f32x4.mul`."""
    return " ".join(op if op == "-" else f"{shape}.{op}" for op in operations.split())


OPCODES: dict[str, bytes] = {
    # control (5.4.1)
    **_plain(0x00, "unreachable nop block loop if else"), **_plain(0x0B, "end br br_if"),
    **_plain(0x0F, "return call"), **_plain(0x1A, "drop select"),
    # variables (5.4.3)
    **_plain(0x20, "local.get local.set local.tee global.get global.set"),
    # memory (5.4.6)
    **_plain(0x28, "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u"),
    **_plain(0x36, "i32.store i64.store f32.store f64.store i32.store8 i32.store16"),
    **_plain(0x3F, "memory.size memory.grow"),
    # constants and numbers (5.4.7)
    **_plain(0x41, "i32.const i64.const f32.const f64.const"),
    **_plain(0x45, _each("i32", "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u")),
    **_plain(0x5B, _each("f32", "eq ne lt gt le ge")), **_plain(0x61, _each("f64", "eq ne lt gt le ge")),
    **_plain(0x67, _each("i32", "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u")),
    **_plain(0x8B, _each("f32", "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign")),
    **_plain(0x99, _each("f64", "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign")),
    **_plain(0xB2, "f32.convert_i32_s f32.convert_i32_u - - f32.demote_f64"),
    **_plain(0xB7, "f64.convert_i32_s f64.convert_i32_u - - f64.promote_f32 i32.reinterpret_f32"),
    **_plain(0xBE, "f32.reinterpret_i32"),
    **_series(b"\xfc", 0, "i32.trunc_sat_f32_s - i32.trunc_sat_f64_s"),
    **_series(b"\xfc", 11, "memory.fill"),
    # vectors (5.4.8)
    **_simd(0, "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u"),
    **_simd(7, "v128.load8_splat v128.load16_splat v128.load32_splat v128.load64_splat v128.store v128.const"),
    **_simd(13, "i8x16.shuffle i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat - f32x4.splat"),
    **_simd(27, "i32x4.extract_lane i32x4.replace_lane - - f32x4.extract_lane f32x4.replace_lane"),
    **_simd(55, _each("i32x4", "eq ne lt_s - gt_s - le_s - ge_s")),
    **_simd(65, _each("f32x4", "eq ne lt gt le ge")),
    **_simd(77, _each("v128", "not and andnot or xor bitselect any_true")),
    **_simd(101, "i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u"), **_simd(133, "i16x8.narrow_i32x4_s"),
    **_simd(0x8B, _each("i16x8", "shl shr_s shr_u add")), **_simd(0x91, "i16x8.sub"), **_simd(0x95, "i16x8.mul"),
    **_simd(0xA7, _each("i32x4", "extend_low_i16x8_s extend_high_i16x8_s - - shl shr_s shr_u add - - sub")),
    **_simd(0xB5, _each("i32x4", "mul min_s min_u max_s max_u dot_i16x8_s")),
    **_simd(0x67, "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest"),
    **_simd(0xE0, _each("f32x4", "abs neg - sqrt add sub mul div min max pmin pmax")),
    **_simd(0x113, "i32x4.relaxed_dot_i8x16_i7x16_add_s"),
    # atomic memory (threads proposal)
    **_series(b"\xfe", 0, "memory.atomic.notify memory.atomic.wait32"),
    **_series(b"\xfe", 16, "i32.atomic.load"), **_series(b"\xfe", 23, "i32.atomic.store"),
    **_series(b"\xfe", 30, "i32.atomic.rmw.add"),
    **_simd(0xF8, "i32x4.trunc_sat_f32x4_s - f32x4.convert_i32x4_s"),
}
