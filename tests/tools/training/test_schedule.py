"""Learning rates by hand."""

from __future__ import annotations

import pytest

from tinypylm_tools.training.description import Schedule
from tinypylm_tools.training.schedule import share


def test_warm_up_is_linear_and_ends_at_the_top() -> None:
    assert [share(Schedule(100, warmup_steps=4), step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_a_cosine_is_halfway_down_in_its_middle_and_ends_at_its_share() -> None:
    schedule = Schedule(104, warmup_steps=4, final_share=0.1)
    assert share(schedule, 4) == 1.0
    assert share(schedule, 54) == pytest.approx(0.55)
    assert share(schedule, 104) == pytest.approx(0.1)


def test_a_level_stays_until_the_decay_which_is_one_minus_a_root() -> None:
    schedule = Schedule(100, kind="wsd", warmup_steps=4, decay_steps=24)
    assert {share(schedule, step) for step in range(4, 76)} == {1.0}
    assert [share(schedule, step) for step in (76, 79, 99)] == pytest.approx([1 - 0.2, 1 - 0.4, 1 - (24 / 25) ** 0.5])
    assert share(schedule, 100) == 0
