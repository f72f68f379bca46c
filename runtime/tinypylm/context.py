"""What has been said so far: the tokens in the KV cache, and those still to go through the network."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from tinypylm.engine import Engine
from tinypylm.options import SamplingOptions
from tinypylm.recording import Recording
from tinypylm.sampler import make_sampler


class Context:
    """A prompt, then one sampled token after the other, at positions 0, 1, ..

    A sampled token goes through the network only when the one after it is asked for. So a context with room
    for n tokens can hold a prompt of n, and one token more can be sampled after it.

    `cached_ids` are tokens whose keys and values already stand in the cache, from position 0 on. What the prompt
    shares with them from its beginning is not computed again, but for its last token, whose logits are needed.
    """

    def __init__(
        self, engine: Engine, prompt_ids: Sequence[int], options: SamplingOptions, cached_ids: Sequence[int] = (),
        recording: Recording | None = None,
    ):
        self.prompt_ids = tuple(prompt_ids)
        self.reused_tokens = _shared_length(self.prompt_ids[:-1], cached_ids)
        self.fed_ids = array("i", self.prompt_ids[: self.reused_tokens])
        self.generated_tokens = 0
        self._engine = engine
        self._length = engine.config.context_length
        self._unfed: int | None = None
        sample = make_sampler(engine, options)
        self._sample = recording.of(engine, sample) if recording else sample
        engine.reset(self.fed_ids)

    @property
    def fed_tokens(self) -> int:
        """How many tokens the KV cache holds."""
        return len(self.fed_ids)

    @property
    def is_full(self) -> bool:
        """Whether the last sampled token finds no place, so that none can follow it."""
        return self._unfed is not None and len(self.fed_ids) >= self._length

    def read_prompt(self, deadline: Callable[[], bool]) -> bool:
        """Sends the prompt through the network, chunk by chunk; False where the deadline came first."""
        while (position := len(self.fed_ids)) < len(self.prompt_ids):
            chunk = self.prompt_ids[position : position + self._engine.chunk_tokens]
            self._engine.prefill(chunk, position)
            self.fed_ids.extend(chunk)
            if deadline():
                return False
        return True

    def next_token(self) -> tuple[int, float]:
        """The token that follows, and its log-probability. The prompt is read, and the context not full."""
        if self._unfed is not None:
            self._engine.step(self._unfed, len(self.fed_ids))
            self.fed_ids.append(self._unfed)
        chosen = self._sample(self.generated_tokens)
        self._unfed = chosen[0]
        self.generated_tokens += 1
        return chosen


def _shared_length(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(ids, others, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(ids), len(others)))
