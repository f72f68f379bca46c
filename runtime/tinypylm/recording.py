"""What a generation leaves for a receipt; one that nobody records runs as if this module were not there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinypylm.engine import Engine
    from tinypylm.sampler import Sampler

DIGEST_TOKENS = 16
"""Of so many tokens, the first one's logits are hashed."""


class Recording:
    """The ids that a generation chose, and the SHA-256 of the f32 logits behind token 0, 16, 32, .."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.logits_sha256: list[str] = []

    def of(self, engine: Engine, sample: Sampler) -> Sampler:
        """`sample`, with what it chooses written down."""
        def choose(draw: int) -> tuple[int, float]:
            chosen = sample(draw)
            if draw % DIGEST_TOKENS == 0:
                self.logits_sha256.append(hashlib.sha256(engine.logits()).hexdigest())
            self.ids.append(chosen[0])
            return chosen

        return choose
