"""Loss of batches, and bits per byte of held-out documents, as `tinypylm_tools.scoring` defines them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinypylm.config import DType, ModelConfig
from tinypylm_tools.training import network, teaching
from tinypylm_tools.training.batches import Batch, make_batch, padded_groups
from tinypylm_tools.training.description import TYPES, Description
from tinypylm_tools.training.dropout import factors
from tinypylm_tools.training.network import Weights
from tinypylm_tools.training.rounding import rounded
from tinypylm_tools.training.teaching import Answer
from tinypylm_tools.training.tokens import Ids, predictable

TotalLoss = Callable[[Weights, Batch], Tensor]
Floats = NDArray[np.float64]
_EVALUATED_TOKENS = 8192
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the work is done, and whether matrices are multiplied in bf16."""

    device: torch.device
    bf16: bool

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()


def machine(precision: str) -> Machine:
    """A GPU where torch has one; `auto` is bf16 wherever the device computes in it."""
    on_gpu = torch.cuda.is_available()
    has_bf16 = torch.cuda.is_bf16_supported() if on_gpu else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    bf16 = precision == "bf16" or (precision == "auto" and bool(has_bf16))
    return Machine(torch.device("cuda" if on_gpu else "cpu"), bf16)


def total_loss(config: ModelConfig, described: Description, on: Machine, answer: Answer | None = None) -> TotalLoss:
    """Nats of all targets of a batch together, through the rounding that the run trains with; of a taught one, its
    distance from its teachers besides."""
    training, turn = described.training, network.turns(config, on.device)
    dtype = TYPES[training.quantisation]

    def loss(weights: Weights, ids: Tensor, targets: Tensor, taught: Tensor | None, dropout: Tensor | None) -> Tensor:
        with on.autocast():
            found = network.logits(config, rounded(weights, dtype), turn, ids, dropout)
        if taught is None or described.teaching is None:
            return network.nats(found, targets)
        return teaching.loss(found, taught, targets, described.teaching)

    run, draw = loss, factors
    if training.compile:
        run, draw = torch.compile(loss, dynamic=True), torch.compile(factors, dynamic=True)

    def total(weights: Weights, batch: Batch) -> Tensor:
        ids, targets = batch.ids.to(on.device), batch.targets.to(on.device)
        taught = answer(batch) if answer else None
        seed = torch.randint(1 << 31, (), dtype=torch.int32).to(on.device)
        return run(weights, ids, targets, taught, draw(config, training.dropout, ids, seed))

    return total


@dataclass(frozen=True, slots=True)
class Score:
    """Bits per byte of documents, and the 95 % interval in which those of all documents of their kind lie."""

    bits_per_byte: float
    low: float
    high: float

    @classmethod
    def of(cls, nats: Floats, sizes_bytes: Floats) -> Score:
        """From each document's sum and size: the ratio of the totals, with the standard error of a ratio
        (Cochran, Sampling Techniques, 1977, chapter 6)."""
        bits, total, count = nats / log(2), sizes_bytes.sum(), len(nats)
        ratio = bits.sum() / total
        spread = np.square(bits - ratio * sizes_bytes).sum() * count / max(count - 1, 1)
        margin = _Z * float(np.sqrt(spread)) / total
        return cls(float(ratio), float(ratio - margin), float(ratio + margin))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Documents of tokens, cut to the context, and for each row of the batches the bytes that what is predicted of it
    stands for."""

    batches: tuple[Batch, ...]
    documents: int
    sizes_bytes: Floats

    @classmethod
    def of(cls, documents: Sequence[Ids], sizes_bytes: NDArray[np.int64], context_length: int) -> HeldOut:
        cut = [ids[:context_length] for ids in documents]
        scored = predictable(cut)
        groups = padded_groups(scored, _EVALUATED_TOKENS)
        sizes = [float(sizes_bytes[scored[row][1:]].sum()) for rows in groups for row in rows]
        return cls(tuple(make_batch([scored[row] for row in rows]) for rows in groups), len(cut), np.array(sizes))

    def score(self, config: ModelConfig, weights: Weights, on: Machine, dtype: DType = DType.F32) -> Score:
        """-sum(log2 p(token)) / bytes, with the weights as a file of type `dtype` would hold them."""
        nats, turn = [], network.turns(config, on.device)
        with torch.no_grad(), on.autocast():
            stored = rounded(weights, dtype)
            for batch in self.batches:
                found = network.logits(config, stored, turn, batch.ids.to(on.device))
                each = network.nats(found, batch.targets.to(on.device), "none").view_as(batch.targets)
                nats.append(each.sum(-1).double().cpu().numpy())
        return Score.of(np.concatenate(nats), self.sizes_bytes)
