"""Which candidate comes next: a function of the settings and of what was scored in the generations before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tinypylm_tools.breeding.search.genome import Dice, Genome, fresh, mixed, mutated
from tinypylm_tools.breeding.search.settings import Settings

_ATTEMPTS = 8
_TOURNAMENT = 3
_FRESH_ONE_IN = 8


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its bits per byte, None where it was refused."""

    genome: Genome
    bits_per_byte: Fraction | None


def generation(settings: Settings, before: Sequence[Scored]) -> list[Genome]:
    """The candidates of the generation that follows on those `before`, none of them tried twice if that can be."""
    known = [scored.genome for scored in before]
    ranked = ranking(before)
    proposed: list[Genome] = []
    for _ in range(settings.population):
        proposed.append(_next(settings, ranked, [*known, *proposed]))
    return proposed


def ranking(scored: Sequence[Scored]) -> list[int]:
    """The places of those that have a score: best first, the earlier first of equal ones."""
    places = [place for place, one in enumerate(scored) if one.bits_per_byte is not None]
    return sorted(places, key=lambda place: (scored[place].bits_per_byte or Fraction(0), place))


def _next(settings: Settings, ranked: Sequence[int], known: Sequence[Genome]) -> Genome:
    for attempt in range(_ATTEMPTS):
        dice = Dice(settings.seed, len(known), attempt)
        if not ranked or dice.below(_FRESH_ONE_IN) == 0:
            genome = fresh(dice, settings.operators, len(settings.parents))
        else:
            one, other = (known[ranked[_won(dice, len(ranked))]] for _ in range(2))
            genome = mutated(dice, mixed(dice, one, other))
        if genome not in known:
            break
    return genome


def _won(dice: Dice, candidates: int) -> int:
    """The rank of the best of a few drawn ones."""
    return min(dice.below(candidates) for _ in range(_TOURNAMENT))
