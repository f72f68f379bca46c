"""The learning rate of each step, as a share of the highest: warm-up, then a cosine or a level with a decay at its end.

WSD: Hu and others, MiniCPM, 2024; its decay is 1 - sqrt, which Haegele and others, 2024, found best.
"""

from __future__ import annotations

from math import cos, pi, sqrt

from tinypylm_tools.training.description import Schedule


def share(schedule: Schedule, step: int) -> float:
    """Of step 0, 1, ..: linear in the warm-up, `final_share` behind the last step."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    down = _cosine(schedule, step) if schedule.kind == "cosine" else _level(schedule, step)
    return schedule.final_share + (1 - schedule.final_share) * down


def _cosine(schedule: Schedule, step: int) -> float:
    whole = max(1, schedule.steps - schedule.warmup_steps)
    return (1 + cos(pi * min(1.0, (step - schedule.warmup_steps) / whole))) / 2


def _level(schedule: Schedule, step: int) -> float:
    past = step - (schedule.steps - schedule.decay_steps)
    return 1.0 if past < 0 else 1 - sqrt(min(1.0, (past + 1) / (schedule.decay_steps + 1)))
