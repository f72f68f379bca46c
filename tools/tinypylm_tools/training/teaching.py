"""Teachers: models whose probabilities a run learns, beside what stands in its texts or instead of it.

The loss is that of Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tinypylm.config import ModelConfig
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import TokenKind, Vocabulary
from tinypylm_tools.training import network
from tinypylm_tools.training.batches import NO_TARGET, Batch
from tinypylm_tools.training.description import Teaching
from tinypylm_tools.training.network import Turn, Weights

_Token = tuple[bool, bytes]
Answer = Callable[[Batch], Tensor]
"""What a batch's teachers say: logarithms of probabilities, f32[rows, width, the student's vocab_size]."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model that only answers. `ids`: int64[the student's vocab_size], the teacher's id of each of its tokens."""

    config: ModelConfig
    weights: Weights
    turn: Turn
    ids: Tensor

    def logits(self, ids: Tensor) -> Tensor:
        """f[rows, length, the student's vocab_size], of the student's ids[rows, length]; without gradients."""
        with torch.no_grad():
            return network.logits(self.config, self.weights, self.turn, self.ids[ids])[..., self.ids]


def softened(logits: Tensor, temperature: float) -> Tensor:
    """The logarithms of probabilities, f32."""
    return functional.log_softmax(logits.float() / temperature, -1)


def loss(found: Tensor, taught: Tensor, targets: Tensor, teaching: Teaching) -> Tensor:
    """Nats of all targets together: (1 - share) * cross entropy + share * T^2 * KL(teachers || student).

    found: the student's logits f[rows, length, vocab_size]; taught: an `Answer`, f32 of that shape; targets:
    int64[rows, length]. T, the temperature, softens both in the second part; T^2 keeps the size of its gradients.
    """
    temperature = teaching.temperature
    apart = functional.kl_div(softened(found, temperature), taught, reduction="none", log_target=True).sum(-1)
    shown = (apart * (targets != NO_TARGET)).sum() * temperature**2
    return (1 - teaching.share) * network.nats(found, targets) + teaching.share * shown


def ids_in(student: Vocabulary, teacher: Vocabulary) -> Tensor:
    """int64[the student's vocab_size]: where the teacher has each of its tokens. Raises ToolError where it has not."""
    known: dict[_Token, int] = {}
    for token, key in enumerate(_tokens(teacher)):
        known.setdefault(key, token)
    missing = [text for special, text in _tokens(student) if (special, text) not in known]
    if missing:
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"{len(missing):,} of the student's {len(student.tokens):,} tokens, {missing[0]!r} "
            "first, are none of the teacher's; expected a part of its vocabulary. Start from a part of the teacher, "
            "by [start], or from a [model], which takes the teacher's tokenizer.", {"missing": len(missing)})
    return torch.tensor([known[key] for key in _tokens(student)])


def _tokens(vocabulary: Vocabulary) -> list[_Token]:
    return [(kind == TokenKind.SPECIAL, text)
            for kind, text in zip(vocabulary.kinds, vocabulary.tokens, strict=True)]


def check_context(student: ModelConfig, teacher: ModelConfig) -> None:
    """Raises ToolError where the teacher cannot read what the student does."""
    if teacher.context_length < student.context_length:
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"the teacher reads {teacher.context_length:,} tokens, the student "
            f"{student.context_length:,}; expected no more than the teacher. Shorten the student's context_length.",
            {"found": student.context_length, "expected": teacher.context_length})
