"""The losses of a run in the report of the model that it wrote, and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tests.tools.training.tiny import description, make_places
from tinypylm.canonical import JsonObject
from tinypylm.errors import ToolError
from tinypylm.format import parse
from tinypylm.provenance.schema import fields, number
from tinypylm_tools.report.losses import losses
from tinypylm_tools.training import checkpoint, export, opening
from tinypylm_tools.training.description import read_description


def test_the_losses_are_those_of_the_run_that_wrote_the_model(tmp_path: Path) -> None:
    places = make_places(tmp_path, description(more='export = ["q8_0"]\n'))
    with places.claimed():
        run = opening.open_run(read_description(places.description), places, print)
        run.go(print)
        (made,) = export.export(run, places)
    metadata = parse(made.path.read_bytes()).metadata
    chart = losses(places.folder, metadata)
    progress = checkpoint.read(places.folder / checkpoint.CHECKPOINT).progress
    assert list(chart.lines["train, nats per token"]) == [(tokens / 1e6, loss) for _, loss, tokens in progress.losses]
    assert [bits for _, bits in chart.lines["held out, bits per byte"]] == [bits for _, bits in progress.held_out]
    told = fields(metadata["training"])
    others: list[JsonObject] = [
        {}, metadata | {"training": told | {"seed": number(told["seed"]) + 1}}, metadata | {"training": "none"}]
    for other in others:
        with pytest.raises(ToolError, match="expected the run that wrote this model"):
            losses(places.folder, other)
