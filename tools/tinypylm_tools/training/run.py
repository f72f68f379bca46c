"""A run: the state of a training, its steps, and what stands on disk behind them.

What a step computes depends on the description, the step's number and the state alone, so a run that was killed and
goes on has the losses of one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor

from tinypylm.config import ModelConfig
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.slm_writer import TensorKey, write_atomically
from tinypylm_tools.training import checkpoint, schedule
from tinypylm_tools.training.batches import Batches
from tinypylm_tools.training.checkpoint import BEST, CHECKPOINT, Checkpoint, Progress
from tinypylm_tools.training.description import TYPES, Description
from tinypylm_tools.training.measure import HeldOut, Machine, TotalLoss
from tinypylm_tools.training.optimiser import gradients_clipped, set_rate

CURVE = "loss.svg"
_WINDOW_STEPS = 20
_SAVE_SECONDS = 180.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """`described` and `parent` say what the state belongs to; `folder` holds its checkpoints."""

    description: Description
    described: dict[str, object]
    parent: dict[str, str]
    folder: Path
    config: ModelConfig
    tokenizer: str
    on: Machine
    weights: dict[TensorKey, Tensor]
    optimisers: list[torch.optim.Optimizer]
    progress: Progress
    batches: Batches
    held_out: HeldOut
    total_loss: TotalLoss

    def go(self, say: Say, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Steps up to the schedule's last, until patience ends or `should_stop`; a checkpoint stands behind the last.

        Raises ToolError where the loss is no number any more.
        """
        saved, seconds = time.monotonic(), []
        if not self.progress.held_out:
            self._evaluate(say)
        while not (self.finished or should_stop()):
            began = time.monotonic()
            self._step()
            seconds.append(time.monotonic() - began)
            if len(self.progress.window) == _WINDOW_STEPS:
                self._close_window(median(seconds), say)
                seconds = []
            evaluated = self.progress.step % self.description.training.evaluate_every == 0 or self.finished
            if evaluated:
                self._evaluate(say)
            if evaluated or time.monotonic() - saved > _SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()

    @property
    def finished(self) -> bool:
        best, patience = self.progress.best, self.description.training.patience
        later = sum(step > best[0] for step, _ in self.progress.held_out) if best else 0
        return self.progress.step >= self.description.schedule.steps or 0 < patience <= later

    def save(self) -> None:
        states = [made.state_dict() for made in self.optimisers]
        checkpoint.write(self.folder / CHECKPOINT, self._checkpoint(states))
        if self.progress.losses and self.progress.held_out:
            write_atomically(self.folder / CURVE, curve(self.description.name, self.progress).svg().encode())

    def _step(self) -> None:
        """One update, and its loss in nats per token."""
        training, step = self.description.training, self.progress.step
        torch.manual_seed((self.description.seed << 32) + step)  # what dropout draws from
        batches = [self.batches.batch(step * training.accumulate + part) for part in range(training.accumulate)]
        tokens, loss = sum(batch.tokens for batch in batches), 0.0
        for batch in batches:
            part = self.total_loss(self.weights, batch) / tokens
            part.backward()
            loss += float(part.detach())
        self._check(loss)
        gradients_clipped(self.weights, training.clip)
        set_rate(self.optimisers, training.learning_rate * schedule.share(self.description.schedule, step))
        for made in self.optimisers:
            made.step()
            made.zero_grad(set_to_none=True)
        self.progress.step, self.progress.tokens = step + 1, self.progress.tokens + tokens
        self.progress.window.append(loss)

    def _check(self, loss: float) -> None:
        if not isfinite(loss):
            step = self.progress.step
            raise ToolError(
                ErrorCode.TRAINING_DIVERGED, f"the loss of step {step} is {loss}; expected a number. Lower "
                "learning_rate and begin again in another folder.", {"step": step})

    def _close_window(self, step_seconds: float, say: Say) -> None:
        """The median of the window's steps is the speed, so a process that was stopped for a while shows none of it."""
        progress = self.progress
        before = progress.losses[-1][2] if progress.losses else 0
        progress.seconds += step_seconds * len(progress.window)
        rate = (progress.tokens - before) / (step_seconds * len(progress.window))
        progress.losses.append((progress.step, mean(progress.window), progress.tokens))
        progress.window = []
        epoch = progress.step * self.description.training.accumulate / self.batches.per_epoch
        say(f"step {progress.step}, epoch {epoch:.2f}: loss {progress.losses[-1][1]:.4f}, {rate:,.0f} tokens/s")

    def _evaluate(self, say: Say) -> None:
        dtype = TYPES[self.description.training.quantisation]
        found = self.held_out.score(self.config, self.weights, self.on, dtype).bits_per_byte
        self.progress.held_out.append((self.progress.step, found))
        best = self.progress.best == self.progress.held_out[-1]
        if best:
            checkpoint.write(self.folder / BEST, self._checkpoint([]))
        say(f"step {self.progress.step}: held out {found:.4f} bits per byte{', the best so far' if best else ''}")

    def _checkpoint(self, states: list[dict[str, object]]) -> Checkpoint:
        return Checkpoint(self.described, self.config, self.tokenizer, self.parent, self.weights, states, self.progress)


def curve(name: str, progress: Progress) -> Chart:
    """Both losses over millions of tokens."""
    tokens_at = {step: tokens / 1e6 for step, _, tokens in progress.losses}
    millions = progress.tokens / 1e6
    held_out = [(tokens_at.get(step, millions * step / progress.step), bits) for step, bits in progress.held_out]
    train = [(tokens / 1e6, loss) for _, loss, tokens in progress.losses]
    return Chart(f"Training {name}", "millions of tokens seen", "logarithmic",
                 {"train, nats per token": train, "held out, bits per byte": held_out})
