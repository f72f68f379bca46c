"""Everything a run needs, read and put together: from nothing, or from its checkpoint."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tinypylm.config import ModelConfig
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Vocabulary
from tinypylm_tools.training import checkpoint, network
from tinypylm_tools.training.answers import asked, remembered
from tinypylm_tools.training.batches import Batches
from tinypylm_tools.training.checkpoint import CHECKPOINT, Checkpoint, Progress
from tinypylm_tools.training.corpus import Corpus, read_corpus
from tinypylm_tools.training.description import Description, Teaching
from tinypylm_tools.training.export import check_exports
from tinypylm_tools.training.measure import HeldOut, Machine, machine, total_loss
from tinypylm_tools.training.optimiser import optimisers
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.reduction import reduced
from tinypylm_tools.training.run import Run, Say
from tinypylm_tools.training.start import Start, begin, from_model, vocabulary_of
from tinypylm_tools.training.teaching import Answer, Teacher, check_context, ids_in
from tinypylm_tools.training.tokens import Encoder, pieces

_SHAPING = ("seed", "data", "training", "model", "start", "teaching")
"""What cannot change on the way. The schedule can, since one may decide late when to let the rate decay."""


def open_run(described: Description, places: Places, say: Say) -> Run:
    """The run in `places.folder`, at its last checkpoint if there is one. Raises ToolError."""
    corpus = read_corpus([places.data / name for name in described.data.texts], described.data.keep,
                         described.data.form)
    say(_told(corpus))
    path = places.folder / CHECKPOINT
    masters = _teachers_of(described, places)
    identity = _identity(described, corpus) | {"teachers": [master.parent for master in masters] or None}
    if path.is_file():
        parent = {} if places.parent is None else {"parent": from_model(places.parent).parent}
        state = _checked(checkpoint.read(path), identity | parent, path)
        say(f"Going on behind step {state.progress.step} of {path}.")
    else:
        start = begin(described, corpus.train, places.parent, masters[0] if masters else None)
        start = reduced(start, described.start, corpus.train) if described.start else start
        check_exports(start, described, places)
        weights = start.make_weights()
        state = Checkpoint(identity, start.config, start.tokenizer, start.parent, weights, [], Progress())
    return _run(described, places.folder, corpus, state, masters, say)


def _teachers_of(described: Description, places: Places) -> list[Start]:
    """Raises ToolError where only one of --teacher and [teaching] is there."""
    if bool(places.teachers) != (described.teaching is not None):
        found = "--teacher" if places.teachers else "[teaching]"
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"a taught run has [teaching] in its description and a model for --teacher; found "
            f"only {found}. Give both, or neither.", {"found": found})
    return [from_model(path) for path in places.teachers]


def _run(
    described: Description, folder: Path, corpus: Corpus, state: Checkpoint, masters: list[Start], say: Say
) -> Run:
    on, training = machine(described.training.precision), described.training
    weights = {key: _leaf(weight, on) for key, weight in state.weights.items()}
    made = optimisers(weights, training)
    for optimiser, saved in zip(made, state.optimisers, strict=False):
        optimiser.load_state_dict(saved)
    vocabulary = vocabulary_of(state.tokenizer, state.config.vocab_size)
    encoder = Encoder(vocabulary, state.config)
    cut = list(pieces(encoder.encode(corpus.train), state.config.context_length))
    batches = Batches(cut, training.tokens_per_batch, described.seed)
    teachers = [_teacher(master, state.config, vocabulary, on) for master in masters]
    answer = None if described.teaching is None else _answer(
        described.teaching, teachers, batches, state.config.vocab_size, on, say)
    held_out = HeldOut.of(encoder.encode(corpus.held_out), encoder.sizes_bytes(), state.config.context_length)
    return Run(described, state.described, state.parent, folder, state.config, state.tokenizer, on, weights, made,
               state.progress, batches, held_out, total_loss(state.config, described, on, answer))


def _answer(
    teaching: Teaching, teachers: list[Teacher], batches: Batches, vocab_size: int, on: Machine, say: Say
) -> Answer:
    ask = asked(teachers, teaching.temperature, on)
    return remembered(ask, batches, vocab_size, on, say) if teaching.remember else ask


def _teacher(master: Start, student: ModelConfig, vocabulary: Vocabulary, on: Machine) -> Teacher:
    check_context(student, master.config)
    ids = ids_in(vocabulary, vocabulary_of(master.tokenizer, master.config.vocab_size))
    dtype = torch.bfloat16 if on.bf16 else torch.float32
    weights = {key: weight.to(on.device, dtype) for key, weight in master.make_weights().items()}
    return Teacher(master.config, weights, network.turns(master.config, on.device), ids.to(on.device))


def _leaf(weight: Tensor, on: Machine) -> Tensor:
    return weight.to(on.device, torch.float32).clone().requires_grad_()


def _identity(described: Description, corpus: Corpus) -> dict[str, object]:
    sections: dict[str, Any] = asdict(described)
    del sections["data"]["form"]  # the digest shows it, and runs that began before it was named can go on
    digest = hashlib.sha256("\0".join(corpus.train).encode()).hexdigest()
    return {name: sections[name] for name in _SHAPING} | {
        "train_sha256": digest, "train_documents": len(corpus.train), "held_out_documents": len(corpus.held_out)}


def _checked(found: Checkpoint, identity: dict[str, object], path: Path) -> Checkpoint:
    described = found.described | {"parent": found.parent}
    for name, value in identity.items():
        if described.get(name) != value:
            raise ToolError(
                ErrorCode.RUN_MISMATCH, f"{path} belongs to another run: its {name} is {described.get(name)!r}, "
                f"expected {value!r}. Take another folder, or the description and the texts that it began with.",
                {"file": str(path), "field": name})
    return found


def _told(corpus: Corpus) -> str:
    return (f"{len(corpus.train):,} documents to train on, {len(corpus.held_out):,} held out; left out: "
            f"{corpus.repeated:,} repeated, {corpus.overlapping:,} copies of held-out ones. Of the 13-grams held out "
            f"{corpus.shared_ppm / 1e4:.2f} % stand in what is trained on.")
