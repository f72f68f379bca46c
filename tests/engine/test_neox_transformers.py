"""GPT-NeoX models with random weights against `transformers`."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine import neox_goldens as goldens
from tests.engine.models import all_logits, greedy, loaded


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(goldens.FILE) as file:
        return dict(file)


@pytest.mark.parametrize("name", goldens.SHAPES)
def test_logits_agree_to_one_part_in_ten_thousand(expected: dict[str, np.ndarray], name: str) -> None:
    found = all_logits(loaded(goldens.file(name)), goldens.prompt(name))
    assert np.abs(found - expected[f"{name}.logits"]).max() < 1e-4


@pytest.mark.parametrize("name", goldens.SHAPES)
def test_two_hundred_greedy_tokens_are_the_same(expected: dict[str, np.ndarray], name: str) -> None:
    found = greedy(loaded(goldens.file(name)), goldens.prompt(name), goldens.GREEDY_TOKENS)
    assert found == expected[f"{name}.greedy"].tolist()


@pytest.mark.slow
def test_the_committed_numbers_are_those_of_transformers(expected: dict[str, np.ndarray]) -> None:
    pytest.importorskip("torch", reason="the extra [interop] is not installed")
    pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    anew = goldens.compute()
    assert anew.keys() == expected.keys()
    for name, value in anew.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=2e-5)
