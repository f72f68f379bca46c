"""Losses of the run that a model is the end of, from the run's folder; needs the extra `[train]`."""

from __future__ import annotations

from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.report.markup import plain
from tinypylm_tools.training.checkpoint import CHECKPOINT, Checkpoint, read
from tinypylm_tools.training.run import curve


def losses(folder: Path, metadata: JsonObject) -> Chart:
    """Both losses over the tokens seen. Raises ToolError where the run is not the one that the metadata tell of."""
    found = read(folder / CHECKPOINT)
    if not (found.progress.losses and found.progress.held_out and _is_of(found, metadata)):
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"the run in {folder} states {_stated(found)}, the model "
            f"{metadata.get('training')!r:.300}; expected the run that wrote this model. Leave --run out, or give that "
            "one's folder.", {"folder": str(folder)})
    return curve(plain(str(metadata.get("name") or "without a name")), found.progress)


def _is_of(run: Checkpoint, metadata: JsonObject) -> bool:
    told, sources = metadata.get("training"), metadata.get("source_sha256")
    return (isinstance(told, dict) and isinstance(sources, dict) and run.parent.items() <= sources.items()
            and all(told.get(key) == value for key, value in _stated(run).items()))


def _stated(run: Checkpoint) -> dict[str, int]:
    """What the exported metadata say as well; seed and documents are those of the description."""
    best = run.progress.best
    return {"steps": best[0] if best else 0, "seed": int(str(run.described["seed"])),
            "train_documents": int(str(run.described["train_documents"]))}
