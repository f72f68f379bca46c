"""What has been said so far: the tokens in the KV cache, and those still to go through the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinypylm.engine import Engine
from tinypylm.options import SamplingOptions
from tinypylm.sampler import make_sampler


class Context:
    """A prompt, then one sampled token after the other, at positions 0, 1, ..

    A sampled token goes through the network only when the one after it is asked for. So a context with room
    for n tokens can hold a prompt of n, and one token more can be sampled after it.
    """

    def __init__(self, engine: Engine, prompt_ids: Sequence[int], options: SamplingOptions):
        engine.reset()
        self.prompt_ids = tuple(prompt_ids)
        self.fed_tokens = 0
        self.generated_tokens = 0
        self._engine = engine
        self._length = engine.config.context_length
        self._unread = list(prompt_ids)
        self._unfed: int | None = None
        self._sample = make_sampler(engine, options)

    @property
    def is_full(self) -> bool:
        """Whether the last sampled token finds no place, so that none can follow it."""
        return self._unfed is not None and self.fed_tokens >= self._length

    def read_prompt(self, deadline: Callable[[], bool]) -> bool:
        """Sends the prompt through the network, chunk by chunk; False where the deadline came first."""
        while self._unread:
            chunk = self._unread[: self._engine.chunk_tokens]
            self._engine.prefill(chunk, self.fed_tokens)
            self.fed_tokens += len(chunk)
            del self._unread[: len(chunk)]
            if deadline():
                return False
        return True

    def next_token(self) -> tuple[int, float]:
        """The token that follows, and its log-probability. The prompt is read, and the context not full."""
        if self._unfed is not None:
            self._engine.step(self._unfed, self.fed_tokens)
            self.fed_tokens += 1
        chosen = self._sample(self.generated_tokens)
        self._unfed = chosen[0]
        self.generated_tokens += 1
        return chosen
