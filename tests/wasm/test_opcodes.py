"""The opcode table, against wasmtime's assembler of the text format."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from tinypylm.wasm.opcodes import OPCODES

_IMMEDIATES = {
    "br": "0", "br_if": "0", "call": "0", "i32.const": "0", "i64.const": "0", "f32.const": "0", "f64.const": "0",
    "v128.const": "i32x4 0 0 0 0", "i8x16.shuffle": " 0" * 16,
} | {f"{kind}.{way}": "0" for kind in ("local", "global") for way in ("get", "set")} | {"local.tee": "0"}
_STRUCTURED = {"block": "block end", "loop": "loop end", "if": "if end", "else": "if else end", "end": "block end"}


def _body(text: str) -> bytes:
    """The instructions of a function with one local, as the outside assembler writes them, without the last `end`."""
    module = wat2wasm(f"(module (memory 1) (global (mut i32) (i32.const 0)) (func (local i32) {text}))")
    return bytes(module[module.rindex(b"\x01\x01\x7f") + 3:-1])


@pytest.mark.parametrize("name", [n for n in OPCODES if n not in _STRUCTURED])
def test_an_instruction_has_the_bytes_that_the_assembler_gives_it(name: str) -> None:
    immediate = _IMMEDIATES.get(name, "0" if "_lane" in name else "")
    assert _body(f"{name} {immediate}").startswith(OPCODES[name])


def test_structured_instructions_have_the_bytes_that_the_assembler_gives_them() -> None:
    empty = b"\x40"
    for name in ("block", "loop", "if"):
        assert _body(_STRUCTURED[name]) == OPCODES[name] + empty + OPCODES["end"]
    assert _body("if else end") == OPCODES["if"] + empty + OPCODES["else"] + OPCODES["end"]


def test_no_two_instructions_share_their_bytes() -> None:
    assert len(set(OPCODES.values())) == len(OPCODES)
