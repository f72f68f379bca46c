"""The committed models are sound, and their card states what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tinypylm.config import DType
from tinypylm.format import parse
from tinypylm_tools.packing import read_metadata


@pytest.mark.parametrize("kind", list(DType), ids=lambda kind: kind.label)
def test_a_committed_model_is_sound_and_on_the_card(kind: DType, repo_root: Path) -> None:
    models = repo_root / "models"
    name = f"storyteller-2m-{kind.label}.slm"
    data = (models / name).read_bytes()
    model = parse(data)
    assert model.config.quantization is kind
    described = read_metadata(models / "storyteller-2m.metadata.json")
    assert {key: model.metadata[key] for key in described} == described
    card = (models / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |" in card


def test_all_models_together_are_small_enough_to_clone(repo_root: Path) -> None:
    assert sum(path.stat().st_size for path in (repo_root / "models").rglob("*.slm")) < 72_000_000
