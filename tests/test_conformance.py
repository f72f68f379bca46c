"""docs/conformance.md says what its command prints: sizes and bits exactly, differences within their bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

F32_BOUND = 1e-4


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and "stories260K" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.slow
def test_the_tables_are_what_the_command_prints(repo_root: Path) -> None:
    for package in ("torch", "transformers", "accelerate", "gguf"):
        pytest.importorskip(package, reason="the extra [interop] is not installed")
    from tests.conformance import main

    result = CliRunner().invoke(main, [
        str(repo_root / "models" / "storyteller-2m-f32.slm"), str(repo_root / "tests" / "data" / "heldout.txt")],
        catch_exceptions=False)
    printed, documented = rows(result.stdout), rows((repo_root / "docs" / "conformance.md").read_text("utf-8"))
    assert len(printed) == len(documented) == 12 + 6 + 2
    for new, old in zip(printed, documented, strict=True):
        if len(new) < 7:
            assert new == old
            continue
        assert (new[:5], new[6]) == (old[:5], old[6])
        if new[2] == "f32":
            assert float(new[5]) < F32_BOUND
            assert float(old[5]) < F32_BOUND
