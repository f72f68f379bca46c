"""Dropout's factors: as many zeros as asked for, drawn from the seed alone, and apart from each other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

import tomllib

from tests.tools.training.tiny import NEOX
from tinypylm_tools.training.description import Shape
from tinypylm_tools.training.dropout import factors, mixed

CONFIG = Shape(**tomllib.loads(NEOX)).config()
IDS = torch.zeros((40, 60), dtype=torch.int64)
SHARE = 0.1


def drawn(seed: int, share: float = SHARE) -> torch.Tensor:
    found = factors(CONFIG, share, IDS, torch.tensor(seed, dtype=torch.int32))
    assert found is not None
    return found


def test_a_share_of_the_factors_is_zero_and_their_mean_is_one() -> None:
    found = drawn(1)
    assert tuple(found.shape) == (1 + 2 * CONFIG.n_layers, *IDS.shape, CONFIG.hidden_size)
    assert sorted(found.unique().tolist()) == [0.0, pytest.approx(1 / (1 - SHARE), rel=0.004)]
    zeros = (found == 0).float()
    deviation = (SHARE * (1 - SHARE) / zeros.numel()) ** 0.5
    assert abs(float(zeros.mean()) - SHARE) < 4 * deviation


def test_the_seed_decides() -> None:
    assert torch.equal(drawn(5), drawn(5))
    apart = (drawn(5) == 0) & (drawn(6) == 0)
    assert float(apart.float().mean()) == pytest.approx(SHARE**2, rel=0.1)


@pytest.mark.parametrize("offset", [1, 2, CONFIG.hidden_size, CONFIG.hidden_size * IDS.numel()])
def test_no_place_tells_of_another(offset: int) -> None:
    zeros = (drawn(7) == 0).flatten()
    both = zeros[offset:] & zeros[:-offset]
    assert float(both.float().mean()) == pytest.approx(SHARE**2, rel=0.1)


def test_nothing_is_drawn_without_a_share() -> None:
    assert factors(CONFIG, 0.0, IDS, torch.tensor(1, dtype=torch.int32)) is None


def test_numbers_are_mixed_as_published() -> None:
    """lowbias32 in whole numbers of Python."""
    numbers = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF]

    def expected(x: int) -> int:
        x = (x ^ (x >> 16)) * 0x21F0AAAD & 0xFFFFFFFF
        x = (x ^ (x >> 15)) * 0x735A2D97 & 0xFFFFFFFF
        return x ^ (x >> 15)

    found = mixed(torch.tensor(numbers, dtype=torch.int64).to(torch.int32))
    assert [number & 0xFFFFFFFF for number in found.tolist()] == [expected(number) for number in numbers]
