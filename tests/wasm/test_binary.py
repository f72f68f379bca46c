"""Integers and modules in binary form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Engine, Module, wat2wasm

from tinypylm.wasm.binary import FunctionCode, MemoryImport, encode_module, sleb, uleb


@pytest.mark.parametrize(("n", "data"), [(0, "00"), (127, "7f"), (128, "8001"), (624485, "e58e26")])
def test_uleb_gives_the_known_bytes(n: int, data: str) -> None:
    assert uleb(n).hex() == data


@pytest.mark.parametrize(("n", "data"), [
    (0, "00"), (-1, "7f"), (63, "3f"), (64, "c000"), (-64, "40"), (-123456, "c0bb78")])
def test_sleb_gives_the_known_bytes(n: int, data: str) -> None:
    assert sleb(n).hex() == data


@given(st.integers(-2**31, 2**31 - 1))
def test_constants_are_encoded_as_the_assembler_encodes_them(n: int) -> None:
    module = bytes(wat2wasm(f"(module (func (result i32) i32.const {n}))"))
    assert b"\x41" + sleb(n) + b"\x0b" in module


def test_a_module_without_debug_names_equals_the_assemblers() -> None:
    add = FunctionCode("add", b"\x7f\x7f", b"\x7f", b"", bytes.fromhex("20002001") + b"\x6a", exported=True)
    ours = encode_module(MemoryImport(1, 2, shared=False), [add])
    theirs = bytes(wat2wasm('(module (import "env" "memory" (memory 1 2)) (func (export "add") (param i32 i32) '
                            "(result i32) local.get 0 local.get 1 i32.add))"))
    assert ours.startswith(theirs)
    Module(Engine(), ours)


def test_a_shared_memory_is_declared_as_the_assembler_declares_it() -> None:
    ours = encode_module(MemoryImport(3, 4, shared=True), [])
    theirs = bytes(wat2wasm('(module (import "env" "memory" (memory 3 4 shared)))'))
    assert theirs[8:].strip(b"\0") in ours
