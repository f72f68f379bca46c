"""Imports point downward only, and the runtime needs nothing but the standard library."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ORDER = [
    "errors", "identity", "config", "memory", "canonical", "quant", "format", "wasm", "kernels", "families", "hosts",
    "engine", "adapters", "tokenizer", "options", "sampler", "chat", "diagnostics", "recording", "session", "telemetry",
    "provenance", "selector", "assembly", "receipts", "replay", "app",
]
HOSTS = {"hosts/browser.py": {"js", "pyodide"}, "hosts/native.py": {"wasmtime"}}


def modules(root: Path) -> list[Path]:
    return sorted((root / "runtime" / "tinypylm").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def part(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_only_hosts_import_what_is_not_in_the_standard_library(repo_root: Path) -> None:
    base = repo_root / "runtime" / "tinypylm"
    for path in modules(repo_root):
        allowed = sys.stdlib_module_names | {"tinypylm"} | HOSTS.get(path.relative_to(base).as_posix(), set())
        foreign = {name.split(".")[0] for name in imports(path)} - allowed
        assert not foreign, f"{path}: imports {foreign}"


@pytest.mark.parametrize("lower", ORDER)
def test_a_layer_does_not_import_from_above(repo_root: Path, lower: str) -> None:
    above = set(ORDER[ORDER.index(lower) + 1:])
    base = repo_root / "runtime" / "tinypylm"
    files = [p for p in modules(repo_root) if p.relative_to(base).parts[0].removesuffix(".py") == lower]
    assert files
    for path in files:
        if path.relative_to(base).as_posix() == "hosts/browser.py":
            continue  # the page's door: it stands above everything
        upward = {part(name) for name in imports(path) if name.startswith("tinypylm.")} & above
        assert not upward, f"{path} imports {upward}"
