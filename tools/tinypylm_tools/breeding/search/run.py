"""A search from its settings to its result: generation by generation, and the reported text only at the end."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NoReturn

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.child import Bred, breed
from tinypylm_tools.breeding.search.engines import Evaluate, World, open_engine, score
from tinypylm_tools.breeding.search.evolution import generation, ranking
from tinypylm_tools.breeding.search.population import Population
from tinypylm_tools.breeding.search.settings import Settings
from tinypylm_tools.serving.exclusive import only_one
from tinypylm_tools.slm_writer import make_folder

LEDGER = "population.jsonl"


def search(
    settings: Settings, folder: Path, engine: str, jobs: int, progress: Callable[[int], None]
) -> tuple[Bred, JsonObject]:
    """The best candidate and the result line of the population in `folder`; goes on where an earlier run stopped.

    `progress` is told how many candidates more there are. Raises SlmError.
    """
    make_folder(folder)
    with only_one(folder / ".search.lock", lambda: _refuse_second(folder)):
        population = Population(folder / LEDGER, settings)
        progress(len(population.scored))
        if len(population.scored) < settings.population * settings.generations:
            world = World(settings.base, settings.parents, settings.selection.documents)
            with open_engine(engine, world, jobs) as evaluate:
                _evolve(settings, population, evaluate, progress)
        return _finish(settings, population)


def _evolve(settings: Settings, population: Population, evaluate: Evaluate, progress: Callable[[int], None]) -> None:
    for number in range(settings.generations):
        first = number * settings.population
        proposed = generation(settings, population.scored[:first])
        known = sum(population.candidate(first + place, genome) for place, genome in enumerate(proposed))
        missing = list(islice(proposed, known, None))
        for genome, outcome in zip(missing, evaluate(missing), strict=True):
            population.add(number, genome, outcome)
            progress(1)


def _finish(settings: Settings, population: Population) -> tuple[Bred, JsonObject]:
    """Breeds the winner again, and scores it and its models on the reported text, unless that was done before."""
    ranked = ranking(population.scored)
    if not ranked:
        tried = len(population.scored)
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"all {tried} candidates were refused; their lines in {LEDGER} say "
                        "why. Give other operators or parents.", {"tried": tried})
    genome = population.scored[ranked[0]].genome
    base = settings.base if OPERATORS[genome.operator].base else None
    best = breed(genome.operator, genome.given, settings.parents, base=base)
    if population.result is None:
        selection = _scores(best.child, settings.selection.documents)
        models = [("child", best.child), *([] if settings.base is None else [("base", settings.base)]),
                  *(("parent", data) for data in settings.parents)]
        reported: list[JsonObject] = [
            {"role": role, **_scores(data, settings.reported.documents)} for role, data in models]
        population.close(ranked[0], selection, reported)
    assert population.result is not None
    return best, population.result


def _scores(model: bytes, documents: tuple[str, ...]) -> JsonObject:
    microbits, size = score(model, documents)
    return {"sha256": sha256(model).hexdigest(), "microbits": microbits, "bytes": size}


def _refuse_second(folder: Path) -> NoReturn:
    raise ToolError(ErrorCode.BUSY, f"another search is under way in {folder}; wait for it, or give another folder.",
                    {"folder": str(folder)})
