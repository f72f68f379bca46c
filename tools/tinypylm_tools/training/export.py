"""The best weights of a run as sealed files, through the packer that takes in everybody else's models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.config import DType, TensorSpec
from tinypylm_tools import packing
from tinypylm_tools.choices import Choices
from tinypylm_tools.importers.source import ReadRows, Rows, Source, digest_names
from tinypylm_tools.json_fields import missing
from tinypylm_tools.quantise import F32
from tinypylm_tools.slm_writer import write_atomically
from tinypylm_tools.training import checkpoint
from tinypylm_tools.training.checkpoint import BEST, Checkpoint
from tinypylm_tools.training.description import TYPES, Description
from tinypylm_tools.training.measure import HeldOut, Machine
from tinypylm_tools.training.opening import Places
from tinypylm_tools.training.run import Run
from tinypylm_tools.training.start import vocabulary_of


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    size_bytes: int
    bits_per_byte: float


def export(run: Run, places: Places) -> Iterator[Exported]:
    """One file for each type that the description names, with its own bits per byte, computed in f32."""
    path = places.folder / BEST
    if not path.is_file():
        raise missing(path, "A run writes it at its first evaluation: train first.")
    best = checkpoint.read(path)
    exact = Machine(run.on.device, bf16=False)
    weights = {key: weight.to(exact.device) for key, weight in best.weights.items()}
    for label in run.description.export:
        found = run.held_out.bits_per_byte(run.config, weights, exact, TYPES[label])
        path = places.folder / f"{run.description.name}-{label}.slm"
        data = pack(best, run.description, places, TYPES[label], found, run.held_out)
        write_atomically(path, data)
        yield Exported(path, len(data), found)


def pack(best: Checkpoint, described: Description, places: Places, dtype: DType, bits: float,
         held_out: HeldOut) -> bytearray:
    card = described.card
    metadata: JsonObject = {
        "name": card.name, "description": card.description, "licence": card.licence, "source": card.source,
        "training": figures(best, described, bits, held_out)}
    if best.parent:
        metadata["lineage_sha256"] = dict(best.parent)
    files = digest_names(places.description, *(places.data / name for name in described.data.texts))
    source = Source("a training run", best.config, vocabulary_of(best.tokenizer, best.config.vocab_size), files,
                    lambda: reader(best))
    return packing.pack(packing.plan(source, Choices(dtype), metadata), lambda _: None).data


def figures(best: Checkpoint, described: Description, bits: float, held_out: HeldOut) -> JsonObject:
    """What the metadata say of the training; fractions in millionths, since the format has no others."""
    training = described.training
    return {
        "steps": best.progress.step, "tokens_seen": best.progress.tokens, "seed": described.seed,
        "tokens_per_batch": training.tokens_per_batch * training.accumulate, "optimiser": training.optimiser,
        "learning_rate_millionths": round(1e6 * training.learning_rate),
        "weight_decay_millionths": round(1e6 * training.weight_decay),
        "dropout_millionths": round(1e6 * training.dropout), "quantisation": training.quantisation,
        "train_documents": int(str(best.described["train_documents"])), "held_out_documents": held_out.documents,
        "held_out_bits_per_byte_millionths": round(1e6 * bits)}


def reader(best: Checkpoint) -> ReadRows:
    arrays = {key: weight.numpy() for key, weight in best.weights.items()}

    def read(spec: TensorSpec, rows: Rows) -> F32:
        values: F32 = arrays[spec.role, spec.layer][rows]
        return values

    return read
