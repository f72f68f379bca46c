"""What the teachers of a run say of its texts: asked at every step, or once and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from math import log

import torch
from torch import Tensor
from torch.nn import functional

from tinypylm_tools.training.batches import Batch, Batches
from tinypylm_tools.training.measure import Machine
from tinypylm_tools.training.run import Say
from tinypylm_tools.training.teaching import Answer, Teacher, softened

STEPS_PER_NAT = 16
_LARGEST_CODE = 255


def asked(teachers: Sequence[Teacher], temperature: float, on: Machine) -> Answer:
    """The logarithm of the mean of their probabilities, each teacher's softened by the temperature."""
    def ask(batch: Batch) -> Tensor:
        ids = batch.ids.to(on.device)
        with on.autocast():
            told = [softened(teacher.logits(ids), temperature) for teacher in teachers]
        return torch.stack(told).logsumexp(0) - log(len(told))

    return ask


def remembered(ask: Answer, batches: Batches, vocab_size: int, on: Machine, say: Say) -> Answer:
    """`ask`, once for every piece of `batches`, in memory: a byte for each token of the vocabulary at each place.

    They are asked before the first answer, in groups that depend on the texts alone, so a run that goes on hears what
    it heard before.
    """
    starts = [0, *accumulate(batches.lengths)]

    @cache
    def known() -> Tensor:
        """uint8[tokens, vocab_size]: in one block, since many small ones among large ones lose as much again."""
        found = torch.empty((starts[-1], vocab_size), dtype=torch.uint8)
        say(f"Asking the teachers about {len(found):,} tokens.")
        for batch in batches.once():
            for piece, codes in zip(batch.pieces, coded(ask(batch)).cpu(), strict=True):
                found[starts[piece] : starts[piece + 1]] = codes[: batches.lengths[piece]]
        say(f"Their answers take {found.nbytes / 1e9:,.1f} GB of memory.")
        return found

    def recall(batch: Batch) -> Tensor:
        rows = [known()[starts[piece] : starts[piece + 1]] for piece in batch.pieces]
        padded = [functional.pad(codes, (0, 0, 0, batch.ids.shape[1] - len(codes))) for codes in rows]
        return decoded(torch.stack(padded).to(on.device))

    return recall


def coded(logarithms: Tensor) -> Tensor:
    """uint8 of the same shape, in sixteenths of a nat down to -16: no coarser than a logit of 8 to 16 in bf16."""
    return (logarithms * -STEPS_PER_NAT).round().clamp(max=_LARGEST_CODE).to(torch.uint8)


def decoded(codes: Tensor) -> Tensor:
    """f32 of the same shape; the probabilities add up to one again."""
    return functional.log_softmax(codes.float() / -STEPS_PER_NAT, -1)
