"""The searches in models/selection: their populations hold, and each winner is the child that the page offers."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tinypylm.canonical import JsonObject
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.breeding.search.evolution import generation, ranking
from tinypylm_tools.breeding.search.population import Population
from tinypylm_tools.breeding.search.settings import Settings, read_settings
from tinypylm_tools.evidence.folder import Folder

MODELS = Folder(Path(__file__).parents[2] / "models")
SEARCHES = sorted(path.stem for path in (MODELS.root / "selection").glob("*.toml"))
GAVE_NONE = "pruned-2m"


def opened(name: str, folder: Path) -> tuple[Settings, Population]:
    """A copy, since an open population can be appended to. Raises ToolError where a line or link does not hold."""
    copy = shutil.copy(MODELS.root / "selection" / f"{name}.population.jsonl", folder)
    settings = read_settings(MODELS.root / "selection" / f"{name}.toml")
    return settings, Population(Path(copy), settings)


def result_of(population: Population) -> JsonObject:
    assert population.result is not None
    return population.result


@pytest.mark.parametrize("name", SEARCHES)
def test_the_candidates_are_those_that_the_settings_lead_to(name: str, tmp_path: Path) -> None:
    settings, population = opened(name, tmp_path)
    for number in range(settings.generations):
        first = number * settings.population
        found = [scored.genome for scored in population.scored[first : first + settings.population]]
        assert found == generation(settings, population.scored[:first])
    assert result_of(population)["tried"] == len(population.scored) == settings.population * settings.generations
    assert result_of(population)["best"] == ranking(population.scored)[0] + 1


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != GAVE_NONE])
def test_the_winner_is_admitted_with_the_number_of_candidates_and_the_text_that_chose_it(
    name: str, tmp_path: Path
) -> None:
    settings, population = opened(name, tmp_path)
    result, entry = result_of(population), f"{name}-q8_0"
    candidate, evaluation = (MODELS.load(record, entry) for record in ("candidate", "evaluation"))
    assert fields(result["selection"])["sha256"] == sha256((MODELS.root / f"{entry}.slm").read_bytes()).hexdigest()
    assert candidate["sha256"] == fields(result["selection"])["sha256"]
    assert candidate["candidates_tried"] == result["tried"]
    assert candidate["selection_sets"] == [settings.selection.sha256]
    texts = {text["sha256"]: items(text["documents"]) for text in map(fields, items(evaluation["texts"]))}
    bits = sum(int(str(fields(row)["microbits"])) for row in texts[settings.reported.sha256])
    assert bits == fields(items(result["reported"])[0])["microbits"]


def test_an_operator_whose_best_child_is_worse_than_its_parent_offers_none(tmp_path: Path) -> None:
    _, population = opened(GAVE_NONE, tmp_path)
    child, _, parent = (fields(row)["microbits"] for row in items(result_of(population)["reported"]))
    assert int(str(child)) > int(str(parent))
    assert not (MODELS.root / f"{GAVE_NONE}-q8_0.slm").exists()
