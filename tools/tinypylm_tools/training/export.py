"""The best weights of a run as sealed files, through the packer that takes in everybody else's models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.config import DType
from tinypylm_tools import packing
from tinypylm_tools.choices import Choices
from tinypylm_tools.importers.source import digest_names
from tinypylm_tools.json_fields import missing
from tinypylm_tools.slm_writer import write_atomically
from tinypylm_tools.training import checkpoint
from tinypylm_tools.training.checkpoint import BEST, Checkpoint, teachers_of
from tinypylm_tools.training.conversations import CHAT
from tinypylm_tools.training.description import TYPES, Description
from tinypylm_tools.training.measure import HeldOut, Machine, Score
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.run import Run
from tinypylm_tools.training.start import Start, source_of


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    size_bytes: int
    score: Score


def export(run: Run, places: Places) -> Iterator[Exported]:
    """One file for each type that the description names, with its own bits per byte, computed in f32."""
    best, exact = _best(places.folder / BEST), Machine(run.on.device, bf16=False)
    taught = {f"teacher_{number}_{name}": digest for number, teacher in enumerate(teachers_of(best), 1)
              for name, digest in teacher.items()}
    model = Start(best.config, best.tokenizer, best.parent | taught, lambda: best.weights)
    weights = {key: weight.to(exact.device) for key, weight in best.weights.items()}
    for label in run.description.export:
        score = run.held_out.score(run.config, weights, exact, TYPES[label])
        told = figures(best, run.description, score, run.held_out)
        data = packing.pack(_recipe(model, run.description, places, TYPES[label], told), lambda _: None).data
        path = places.folder / f"{run.description.name}-{label}.slm"
        write_atomically(path, data)
        yield Exported(path, len(data), score)


def _best(path: Path) -> Checkpoint:
    if not path.is_file():
        raise missing(path, "A run writes it at its first evaluation: train first.")
    return checkpoint.read(path)


def check_exports(start: Start, described: Description, places: Places) -> None:
    """Raises ToolError or BudgetError for a model that no file can hold, before there are weights to train."""
    for label in described.export:
        _recipe(start, described, places, TYPES[label], {})


def _recipe(start: Start, described: Description, places: Places, dtype: DType, told: JsonObject) -> packing.Recipe:
    card = described.card
    metadata: JsonObject = {
        "name": card.name, "description": card.description, "licence": card.licence, "source": card.source,
        "training": told, "source_sha256": dict(start.parent),
        **({"chat": {**CHAT}} if described.data.form == "chat" else {})}
    files = digest_names(places.description, *(places.data / name for name in described.data.texts))
    return packing.plan(source_of(start, files), Choices(dtype), metadata)


def figures(best: Checkpoint, described: Description, score: Score, held_out: HeldOut) -> JsonObject:
    """What the metadata say of the training; fractions in millionths, since the format has no others."""
    training, teaching = described.training, described.teaching
    taught: JsonObject = {} if teaching is None else {
        "teaching_share_millionths": round(1e6 * teaching.share),
        "teaching_temperature_millionths": round(1e6 * teaching.temperature)}
    return {
        "steps": best.progress.step, "tokens_seen": best.progress.tokens, "seed": described.seed,
        "tokens_per_batch": training.tokens_per_batch * training.accumulate, "optimiser": training.optimiser,
        "learning_rate_millionths": round(1e6 * training.learning_rate),
        "weight_decay_millionths": round(1e6 * training.weight_decay),
        "dropout_millionths": round(1e6 * training.dropout), "quantisation": training.quantisation,
        "train_documents": int(str(best.described["train_documents"])), "held_out_documents": held_out.documents,
        "held_out_bits_per_byte_millionths": round(1e6 * score.bits_per_byte), **taught}
