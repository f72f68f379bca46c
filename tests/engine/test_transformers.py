"""The packed f32 model against `transformers` on the checkpoint it was packed from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.engine import goldens
from tests.engine.models import HOST, all_logits, greedy
from tinypylm.engine import Engine
from tinypylm.format import parse


@pytest.fixture(scope="module")
def engine(repo_root: Path) -> Engine:
    data = (repo_root / "models" / "storyteller-2m-f32.slm").read_bytes()
    return Engine.load(parse(data), data, HOST)


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(goldens.FILE) as file:
        return dict(file)


@pytest.mark.parametrize("n", range(len(goldens.PROMPTS)))
def test_logits_agree_to_one_part_in_ten_thousand(engine: Engine, expected: dict[str, np.ndarray], n: int) -> None:
    engine.reset()
    found = all_logits(engine, expected[f"ids.{n}"].tolist())
    assert np.abs(found - expected[f"logits.{n}"]).max() < 1e-4


def test_two_hundred_greedy_tokens_are_the_same(engine: Engine, expected: dict[str, np.ndarray]) -> None:
    engine.reset()
    found = greedy(engine, expected["ids.0"].tolist(), goldens.GREEDY_TOKENS)
    assert found == expected["greedy"].tolist()


@pytest.mark.slow
def test_the_committed_numbers_are_those_of_transformers(repo_root: Path, expected: dict[str, np.ndarray]) -> None:
    checkpoint = repo_root.parent / "shared" / "data" / "storyteller-2m"
    if not checkpoint.is_dir():
        pytest.skip("the checkpoint that the model was packed from is not beside this tree")
    pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    anew = goldens.compute(checkpoint)
    assert anew.keys() == expected.keys()
    for name, value in anew.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=2e-5)
