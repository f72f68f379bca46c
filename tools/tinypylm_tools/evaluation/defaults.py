"""The sets that are run where nobody names others: those beside the models, else those that came with the page."""

from __future__ import annotations

from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance.scores import NO_SCOPE
from tinypylm_tools.evaluation.sidecar import Items
from tinypylm_tools.evaluation.suites import SUFFIXES, load_suite, load_text
from tinypylm_tools.serving.place import place_here

FOLDER = "evaluation"


def default_items(models: Path, quality_scope: str = NO_SCOPE) -> Items:
    """Every suite and every text in `evaluation/`. Raises ToolError where there is none."""
    ours = place_here().models
    for root in (models, ours):
        files = sorted((root / FOLDER).glob("*")) if (root / FOLDER).is_dir() else []
        suites = [load_suite(path) for path in files if path.suffix in SUFFIXES]
        if suites:
            return Items.of(suites, [load_text(path) for path in files if path.suffix == ".txt"], quality_scope)
    raise ToolError(ErrorCode.UNUSABLE_SUITE, f"there is no suite in {models / FOLDER} or {ours / FOLDER}; name one "
                    "with --suite FILE")


def smoke_items() -> Items:
    """Only whether a model runs."""
    return Items.of([load_suite(place_here().models / FOLDER / "smoke.toml")], [])
