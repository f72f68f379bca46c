"""The builder: what kernels mean, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.bench import Workbench, single
from tinypylm.errors import KernelError
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import Kernel, ModuleBuilder, Ptr
from tinypylm.wasm.values import Value, f32, f64, i32
from tinypylm.wasm.vectors import f32x4, i16x8, i32x4


def build(body) -> bytes:
    module = ModuleBuilder(MemoryImport(1, 1, shared=False))
    module.add(body, "kernel", {}, export=True)
    return module.encode()


def test_a_small_kernel_has_the_listing_that_a_person_would_write() -> None:
    def double(k: Kernel, x: Ptr, i: i32) -> None:
        x.f32[i, 2] = x.f32[i, 2] * 2.0

    code = build(double)
    address = "2000" "2001" "4102" "74" "6a"  # local.get 0, local.get 1, i32.const 2, i32.shl, i32.add
    assert bytes.fromhex(address + address + "2a0008" "4300000040" "94" "380008" "0b") in code


def test_a_number_beside_a_vector_is_made_once_before_the_loops() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        with k.range(4, step=4) as i:
            x.f32x4[i] = x.f32x4[i] * 3.0 + 3.0

    code = build(kernel)
    three = bytes.fromhex("4300004040" "fd13" "21")  # f32.const 3, f32x4.splat, local.set
    assert code.count(three[:-1]) == 1
    assert code.index(three) < code.index(bytes.fromhex("0340"))  # loop


def test_a_constant_keeps_the_sign_of_its_zero() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        v = k.let(x.f32x4[0])
        x.f32x4[0] = v / 0.0
        x.f32x4[4] = v / -0.0

    bench = single(kernel)
    address = bench.place(np.ones(8, np.float32))
    bench.run(address)
    assert bench.read(address, 8).tolist() == [np.inf] * 4 + [-np.inf] * 4


def test_a_value_that_is_used_twice_is_refused() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        v = x.f32x4[0]
        x.f32x4[0] = v * v

    with pytest.raises(KernelError, match=r"used twice: name it with k\.let"):
        build(kernel)


def test_a_value_read_before_a_store_is_refused_after_it() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        v = x.f32x4[0]
        x.f32x4[4] = f32x4.const(0.0)
        x.f32x4[0] = v

    with pytest.raises(KernelError, match="before a later store"):
        build(kernel)


def test_a_value_of_a_variable_is_refused_after_its_assignment() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        n = k.var(i32.const(1))
        doubled = n + n
        n += 1
        x.i32[0] = doubled

    with pytest.raises(KernelError, match="before a later store"):
        build(kernel)


def test_types_do_not_mix() -> None:
    def kernel(k: Kernel, x: Ptr, n: i32) -> None:
        x.f32[0] = x.f32[0] + n  # type: ignore[operator]

    with pytest.raises(KernelError, match="expected f32, found i32"):
        build(kernel)


def test_only_variables_can_be_assigned_to() -> None:
    def kernel(k: Kernel, n: i32) -> None:
        n.set(3)

    with pytest.raises(KernelError, match=r"only a k\.var"):
        build(kernel)


def test_a_constant_that_does_not_fit_is_refused() -> None:
    with pytest.raises(KernelError, match="32-bit integer"):
        i32.const(2**32)
    with pytest.raises(KernelError, match="32-bit integer"):
        i32.const(1.5)


def test_a_negative_constant_address_is_refused() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        x.f32[-1] = 0.0

    with pytest.raises(KernelError, match="at least 0"):
        build(kernel)


def test_a_widening_load_has_no_store() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        x.i8x8[0] = x.i8x8[1]

    with pytest.raises(KernelError, match="no store"):
        build(kernel)


def test_a_parameter_without_a_known_type_is_refused() -> None:
    def kernel(k: Kernel, x: int) -> None:
        pass

    with pytest.raises(KernelError, match="expected parameters annotated"):
        build(kernel)


def test_a_call_with_the_wrong_number_of_arguments_is_refused() -> None:
    module = ModuleBuilder(MemoryImport(1, 1, shared=False))

    def leaf(k: Kernel, n: i32) -> None:
        pass

    leaf_function = module.add(leaf, "leaf", {})

    def caller(k: Kernel) -> None:
        k.call(leaf_function)

    with pytest.raises(KernelError, match="expected 1 arguments, found 0"):
        module.add(caller, "caller", {})


def test_otherwise_needs_a_when_right_before_it() -> None:
    def kernel(k: Kernel, x: Ptr) -> None:
        x.i32[0] = 1
        with k.otherwise():
            pass

    with pytest.raises(KernelError, match="must follow"):
        build(kernel)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_a_range_runs_its_body_that_many_times(n: int) -> None:
    def kernel(k: Kernel, x: Ptr, n: i32) -> None:
        total = k.var(i32.const(0))
        with k.range(n) as i:
            total += i
        x.i32[0] = total

    bench = single(kernel)
    address = bench.room(4)
    bench.run(address, n)
    assert bench.read(address, 1, np.int32)[0] == sum(range(n))


def test_both_branches_of_a_when() -> None:
    def kernel(k: Kernel, n: i32) -> Value:
        sign = k.var(i32.const(0))
        with k.when(n < 0):
            sign.set(-1)
        with k.otherwise():
            sign.set(1)
        return sign

    bench = single(kernel)
    assert [bench.run(n) for n in (-5, 0, 5)] == [-1, 1, 1]


@pytest.mark.parametrize(("operation", "expected"), [
    (lambda n: n + 7, 4), (lambda n: n - 7, -10), (lambda n: 7 - n, 10), (lambda n: n * 3, -9),
    (lambda n: n >> 1, -2), (lambda n: n.shr_u(28), 15), (lambda n: n << 2, -12), (lambda n: n & 6, 4),
    (lambda n: n | 1, -3), (lambda n: n < 0, 1), (lambda n: n >= 0, 0), (lambda n: n.equals(-3), 1),
    (lambda n: n.differs(-3), 0),
])
def test_integer_operators_mean_what_they_say(operation, expected: int) -> None:
    def kernel(k: Kernel, n: i32) -> Value:
        return operation(n)

    assert single(kernel).run(-3) == expected


def test_vector_lanes_stand_where_shuffles_put_them() -> None:
    def kernel(k: Kernel, out: Ptr, x: Ptr) -> None:
        a, b = k.let(x.f32x4[0]), k.let(x.f32x4[4])
        out.f32x4[0] = a.shuffle32(b, 3, 4, 1, 6)
        out.f32x4[4] = a.broadcast32(2)
        out.f32x4[8] = a.with_lane(1, 9.0 + f32.const(0.0))

    bench = single(kernel)
    x, out = bench.place(np.arange(8, dtype=np.float32)), bench.room(64)
    bench.run(out, x)
    assert bench.read(out, 12).tolist() == [3, 4, 1, 6, 2, 2, 2, 2, 0, 9, 2, 3]


def test_lanes_are_summed_in_the_documented_order() -> None:
    def kernel(k: Kernel, x: Ptr) -> Value:
        return k.let(x.f32x4[0]).sum()

    bench = single(kernel)
    v = np.array([1e8, 1.0, -1e8, 1.0], np.float32)
    assert bench.run(bench.place(v)) == (v[0] + v[2]) + (v[1] + v[3]) == 2.0


def test_a_dot_of_codes_is_exact_at_the_extremes() -> None:
    def kernel(k: Kernel, out: Ptr, a: Ptr) -> None:
        out.f32x4[0] = a.i16x8[0].dot(a.i16x8[8]).view(f32x4)

    bench = single(kernel)
    codes = np.array([32767] * 8 + [-32767] * 8, np.int16)
    out = bench.room(16)
    bench.run(out, bench.place(codes))
    assert bench.read(out, 4, np.int32).tolist() == [-2 * 32767**2] * 4


def test_narrowing_saturates() -> None:
    def kernel(k: Kernel, out: Ptr, x: Ptr) -> None:
        wide = i32x4.truncate(x.f32x4[0])
        out.i16x8[0] = i16x8.narrow(wide, i32x4.truncate(x.f32x4[4]))

    bench = single(kernel)
    x = np.array([1e9, -1e9, 2.9, -2.9, np.nan, 32767, -32768, 0], np.float32)
    out = bench.room(16)
    bench.run(out, bench.place(x))
    assert bench.read(out, 8, np.int16).tolist() == [32767, -32768, 2, -2, 0, 32767, -32768, 0]


def test_doubles_convert_both_ways() -> None:
    def kernel(k: Kernel, x: f32) -> Value:
        return f32.rounded(f64.widened(x) * 0.1)

    assert single(kernel).run(3.0) == np.float32(np.float64(3.0) * 0.1)


def test_debug_names_are_those_of_the_kernels() -> None:
    bench = Workbench()

    def named(k: Kernel) -> None:
        pass

    bench.add(named, "matvec_q8_0_288")
    assert b"matvec_q8_0_288" in bench.module.encode().split(b"\x04name")[1]
