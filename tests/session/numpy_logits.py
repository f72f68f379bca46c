"""The definition of what an engine hands to the sampler, in NumPy: one fixed vector of logits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class NumpyCandidates:
    ids: memoryview
    logits: memoryview
    weights: memoryview
    log_sum_exp: float

    @property
    def count(self) -> int:
        return len(self.ids)


@dataclass
class NumpyLogits:
    """Fixed raw logits f32[vocab]; `seen` ids are penalised."""

    raw: np.ndarray
    seen: set[int] = field(default_factory=set)

    def candidates(self, k: int, temperature: float, repetition_penalty: float) -> NumpyCandidates:
        logits = self.raw.astype(np.float32)
        for token in self.seen:
            logits[token] *= repetition_penalty if logits[token] <= 0 else 1 / repetition_penalty
        ids = np.lexsort((np.arange(len(logits)), -logits))[:k].astype(np.int32)
        best = logits[ids]
        weights = np.exp((best - best[0]) / np.float32(temperature)).astype(np.float32)
        log_sum_exp = float(np.float32(np.logaddexp.reduce(self.raw.astype(np.float64))))
        return NumpyCandidates(memoryview(ids), memoryview(best), memoryview(weights), log_sum_exp)

    def raw_logit(self, token: int) -> float:
        return float(np.float32(self.raw[token]))
