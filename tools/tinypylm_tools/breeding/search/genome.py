"""One candidate: an operator and its parameters, drawn, mixed and mutated by seeded dice."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.provenance.operators import OPERATORS, PPM, Range, Unit
from tinypylm.provenance.schema import items

_DOMAIN = b"slm/breed/search/v1"
_STEP = 10_000
_MOST_WEIGHT = 1_500_000
_REACH = 20
"""Steps that a mutation moves a rate or weight at most."""


@dataclass(frozen=True, slots=True)
class Genome:
    """`given` are parameters as in a receipt."""

    operator: str
    given: JsonObject


class Dice:
    """Numbers that depend on the seed, the candidate and the attempt, and on how many were drawn before."""

    def __init__(self, seed: int, candidate: int, attempt: int):
        self._start = _DOMAIN + struct.pack("<QQI", seed, candidate, attempt)
        self._drawn = 0

    def below(self, limit: int) -> int:
        """0 to limit - 1."""
        text = self._start + struct.pack("<I", self._drawn)
        self._drawn += 1
        return int.from_bytes(hashlib.shake_256(text).digest(8), "little") * limit >> 64

    def between(self, least: int, most: int) -> int:
        """A multiple of the step within least..most, or one of the two ends."""
        return min(most, max(least, least // _STEP * _STEP + _STEP * self.below((most - least) // _STEP + 2)))


def fresh(dice: Dice, operators: Sequence[str], parents: int) -> Genome:
    """One drawn from the whole space."""
    name = operators[dice.below(len(operators))]
    table = OPERATORS[name]
    given: JsonObject = {}
    if table.weight:
        least = max(_STEP, table.weight.least)
        given["weights_ppm"] = [dice.between(least, _MOST_WEIGHT) for _ in range(parents)]
    for key, allowed in (("keep_ppm", table.keep), ("floor_ppm", table.floor)):
        if allowed:
            given[key] = dice.between(max(_STEP, allowed.least), allowed.most)
    if table.seeded:
        given["seed"] = str(dice.below(2**32))
    if table.units:
        given["unit"] = str(list(Unit)[dice.below(len(Unit))])
    return _fitted(Genome(name, given))


def mixed(dice: Dice, one: Genome, other: Genome) -> Genome:
    """Each parameter from either, where both use the same operator; else the first."""
    if one.operator != other.operator:
        return one
    return _fitted(Genome(one.operator, {
        key: (one if dice.below(2) else other).given[key] for key in one.given}))


def mutated(dice: Dice, genome: Genome) -> Genome:
    """About half of the parameters moved."""
    given: JsonObject = {}
    for key, value in genome.given.items():
        given[key] = _moved(dice, genome.operator, key, value) if dice.below(2) else value
    return _fitted(Genome(genome.operator, given))


def _moved(dice: Dice, operator: str, key: str, value: JsonValue) -> JsonValue:
    table = OPERATORS[operator]
    if key == "weights_ppm":
        assert table.weight
        return [_nearby(dice, weight, table.weight) for weight in items(value)]
    if key == "seed":
        return str(dice.below(2**32))
    if key == "unit":
        return str(list(Unit)[dice.below(len(Unit))])
    allowed = table.keep if key == "keep_ppm" else table.floor
    assert allowed
    return _nearby(dice, value, allowed)


def _nearby(dice: Dice, value: JsonValue, allowed: Range) -> int:
    assert isinstance(value, int)
    moved = value + _STEP * (dice.below(2 * _REACH + 1) - _REACH)
    return min(allowed.most, max(allowed.least, moved))


def _fitted(genome: Genome) -> Genome:
    """The rules that bind two parameters, kept by moving the floor; no weights that are all 0."""
    given = dict(genome.given)
    keep, floor = given.get("keep_ppm"), given.get("floor_ppm")
    if isinstance(keep, int) and isinstance(floor, int):
        if genome.operator == "della":
            given["floor_ppm"] = min(keep, max(floor, 2 * keep - PPM))
        elif genome.operator == "breadcrumbs":
            given["floor_ppm"] = min(floor, PPM - keep)
    if "weights_ppm" in given and not any(items(given["weights_ppm"])):
        given["weights_ppm"] = [PPM for _ in items(given["weights_ppm"])]
    return Genome(genome.operator, given)
