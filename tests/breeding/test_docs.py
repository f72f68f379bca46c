"""docs/breeding.md names every operator with its options and defaults, as the table in the code has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinypylm.provenance.operators import OPERATORS, Operator


def options(operator: Operator) -> dict[str, str | None]:
    """Flag to default, None where there is none."""
    found: dict[str, str | None] = {}
    for name, allowed in (("weight", operator.weight), ("keep", operator.keep), ("floor", operator.floor)):
        if allowed:
            found[f"--{name}-ppm"] = None if allowed.default is None else str(allowed.default)
    if operator.equal_shares:
        found["--weight-ppm"] = "10^6 / parents"
    return found | ({"--seed": "0"} if operator.seeded else {}) | ({"--unit": "row"} if operator.units else {})


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_is_documented_with_its_models_options_and_defaults(repo_root: Path, name: str) -> None:
    text = (repo_root / "docs" / "breeding.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(f"| `{name}` | ")]
    _, models, documented, _ = rows[0]
    assert models.startswith("base") == OPERATORS[name].base
    stated = {flag: default or None for flag, default in re.findall(r"`(--[a-z-]+)`(?: \(([^)]*)\))?", documented)}
    assert stated == options(OPERATORS[name])


def test_operators_are_documented_in_the_order_of_the_code(repo_root: Path) -> None:
    text = (repo_root / "docs" / "breeding.md").read_text(encoding="utf-8")
    table = text.partition("## Operators")[2].partition("### ")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(OPERATORS)
