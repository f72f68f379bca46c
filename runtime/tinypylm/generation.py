"""One prompt and what comes of it: tokens, the reason why it ends, and the time it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from tinypylm.context import Context
from tinypylm.diagnostics import Pace
from tinypylm.engine import Engine
from tinypylm.options import SamplingOptions
from tinypylm.output import Output
from tinypylm.recording import Recording
from tinypylm.sampler import likeliest
from tinypylm.tokenizer import Tokenizer

FinishReason = Literal["stop", "length", "context", "cancelled"]
Deadline = Callable[[], bool]
Deliver = Callable[..., object]
"""Takes the fields of a TokenEvent as soon as the token is chosen; the last one only where it was asked for."""


@dataclass(slots=True)
class TokenEvent:
    """One sampled token.

    text is what became safe to give out with it: perhaps nothing, perhaps more than its own bytes. logprob is
    that of the model's own distribution, before penalty and temperature. index counts from the prompt on. likeliest
    is (id, logprob) of the best tokens there were; None where they were not asked for. Not frozen: that would make
    each three times as slow to create.
    """

    id: int
    text: str
    logprob: float
    index: int
    likeliest: tuple[tuple[int, float], ...] | None = None


class Generation:
    """Reads the prompt, then samples until an end; afterwards single steps may follow."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        options: SamplingOptions,
        output_limit_bytes: int,
        cached_ids: Sequence[int] = (),
        recording: Recording | None = None,
        top_logprobs: int | None = None,
    ):
        started = perf_counter()
        self.context = Context(engine, prompt_ids, options, cached_ids, recording)
        self.pace = Pace(len(prompt_ids), self.context.reused_tokens, started_at=started)
        self._options, self._engine, self._top_logprobs = options, engine, top_logprobs
        self._eos_id = engine.config.eos_id
        self._output = Output(tokenizer, options.stop_strings, output_limit_bytes)
        self._steps = tokenizer.stream()

    def advance(self, deadline: Deadline, deliver: Deliver) -> FinishReason | None:
        """Works until the deadline or the end, whose reason is returned; tokens go to `deliver`, one by one."""
        started = perf_counter()
        is_read = self.context.read_prompt(deadline)
        self.pace.prompt_seconds += perf_counter() - started
        return self._decode(deadline, deliver) if is_read else None

    def _decode(self, deadline: Deadline, deliver: Deliver) -> FinishReason | None:
        started, fed_before = perf_counter(), self.context.fed_tokens
        reason: FinishReason | None = None
        while reason is None:
            reason = self._sample(deliver)
            if deadline():
                break
        self.pace.decode_seconds += perf_counter() - started
        self.pace.decode_passes += self.context.fed_tokens - fed_before
        return reason

    def _sample(self, deliver: Deliver) -> FinishReason | None:
        context, output = self.context, self._output
        token, logprob = context.next_token()
        count = context.generated_tokens
        if count == 1:
            self.pace.first_token_seconds = perf_counter() - self.pace.started_at
        text = output.push(token)
        reason = self._ending(token, count)
        if reason is not None:
            text += output.finish()
        if self._top_logprobs is None:
            deliver(token, text, logprob, count - 1)
        else:
            deliver(token, text, logprob, count - 1, likeliest(self._engine, self._top_logprobs))
        return reason

    def _ending(self, token: int, count: int) -> FinishReason | None:
        if token == self._eos_id or self._output.stopped:
            return "stop"
        if count >= self._options.max_tokens:
            return "length"
        return "context" if self.context.is_full else None

    def step(self) -> TokenEvent:
        """One token more, whatever ended the generation; stop strings and max_tokens do not apply."""
        started, fed_before = perf_counter(), self.context.fed_tokens
        self.context.read_prompt(lambda: False)
        token, logprob = self.context.next_token()
        text = self._steps.push(token)
        self.pace.decode_seconds += perf_counter() - started
        self.pace.decode_passes += self.context.fed_tokens - fed_before
        event = TokenEvent(token, text, logprob, self.context.generated_tokens - 1)
        if self._top_logprobs is not None:
            event.likeliest = likeliest(self._engine, self._top_logprobs)
        return event

    def cancel(self) -> str:
        """The text that was held back when the generation was stopped."""
        return self._output.finish()
