"""The registry of the tree: every entry holds, and the engine of the tree still says what their evaluations say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evaluation.defaults import smoke_items
from tinypylm_tools.evaluation.sidecar import run
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import verify, verify_parents

MODELS = Folder(Path(__file__).parents[2] / "models")


@pytest.mark.parametrize("name", [str(entry["id"]) for entry in Book(MODELS).entries()])
def test_an_entry_of_the_registry_holds_with_its_parents(name: str) -> None:
    assembly = verify(MODELS, name)
    verify_parents(MODELS, assembly.records["receipt"], [], rebuild=False, on_step=lambda step: None)


def test_every_model_of_the_tree_is_offered() -> None:
    offered = {entry["file"] for entry in Book(MODELS).entries() if entry["enabled"]}
    assert offered == {path.name for path in MODELS.models()}


def test_the_engine_still_writes_the_texts_of_the_committed_evaluation() -> None:
    """After a change of arithmetic: `tinypylm admit --again models/*.slm`."""
    recorded = [case for case in map(fields, items(MODELS.load("evaluation", "storyteller-2m-q4_0")["cases"]))
                if case["suite"] == "smoke"]
    data = (MODELS.root / "storyteller-2m-q4_0.slm").read_bytes()
    assert [result.row() for result in run(data, smoke_items()).results] == recorded
