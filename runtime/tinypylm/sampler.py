"""From the engine's candidates to one token: top-p, min-p and the draw, after penalty, temperature and top-k.

Exponentials and the logarithm come from the engine; here are only IEEE additions, multiplications and
comparisons, in one fixed order. So the same seed gives the same tokens on every engine.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import neg
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from tinypylm.options import SamplingOptions

if TYPE_CHECKING:
    from tinypylm.engine import Candidates

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1
_F32 = Struct("<f")


def splitmix64(seed: int, draw: int) -> int:
    """Output number `draw` (from 0) of SplitMix64 started at `seed`: an integer below 2^64.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the constants
    of java.util.SplittableRandom (Stafford's variant 13). The state after n draws is seed + n * gamma, so any
    draw can be computed without the ones before it.
    """
    z = (seed + (draw + 1) * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform(seed: int, draw: int) -> float:
    """The upper 53 bits of that output as a multiple of 2^-53, in [0, 1)."""
    return (splitmix64(seed, draw) >> 11) * 2.0**-53


def kept_count(cumulative: list[float], weights: Sequence[float], top_p: float, min_p: float) -> int:
    """How many candidates, from the heaviest on, survive top-p and then min-p; at least one.

    cumulative[i] = weights[0] + .. + weights[i]; weights descend from 1. top-p keeps the smallest set that
    holds top_p of the weight (Holtzman et al. 2019); min-p drops what weighs less than min_p times the
    heaviest (Nguyen et al. 2024).
    """
    kept = len(cumulative)
    if top_p < 1.0:
        kept = min(kept, bisect_left(cumulative, top_p * cumulative[-1]) + 1)
    if min_p > 0.0:
        kept = bisect_right(weights, -min_p, 0, kept, key=neg)
    return kept


def chosen_index(weights: Sequence[float], top_p: float, min_p: float, point: float) -> int:
    """The candidate on which `point`, from [0, 1), falls when the kept weights stand side by side."""
    cumulative = list(accumulate(weights))
    kept = kept_count(cumulative, weights, top_p, min_p)
    # point < 1, and the product rounds below the last sum, so the search ends inside the kept ones.
    return bisect_right(cumulative, point * cumulative[kept - 1], 0, kept)


class LogitsSource(Protocol):
    """What sampling needs of an engine."""

    def candidates(self, k: int, temperature: float, repetition_penalty: float) -> Candidates: ...
    def raw_logit(self, token: int) -> float: ...


Sampler = Callable[[int], tuple[int, float]]
"""draw number -> (token, its log-probability in the model's own distribution, rounded once to f32)."""


def make_sampler(source: LogitsSource, options: SamplingOptions) -> Sampler:
    """A function that chooses a token from the logits that stand in `source` when it is called."""
    if options.temperature == 0 or options.top_k == 1:
        return _greedy(source, float(options.repetition_penalty))
    return _drawing(source, options)


def _greedy(source: LogitsSource, penalty: float) -> Sampler:
    candidates, logprob = source.candidates, _logprob_of(source, penalty)

    def choose(_draw: int) -> tuple[int, float]:
        found = candidates(1, 1.0, penalty)
        return found.ids[0], logprob(found, 0)

    return choose


def _drawing(source: LogitsSource, options: SamplingOptions) -> Sampler:
    top_k, seed = options.top_k, options.seed
    temperature, penalty = float(options.temperature), float(options.repetition_penalty)
    top_p, min_p = float(options.top_p), float(options.min_p)
    candidates, logprob = source.candidates, _logprob_of(source, penalty)

    def choose(draw: int) -> tuple[int, float]:
        found = candidates(top_k, temperature, penalty)
        index = chosen_index(found.weights, top_p, min_p, uniform(seed, draw))
        return found.ids[index], logprob(found, index)

    return choose


def likeliest(source: LogitsSource, count: int) -> tuple[tuple[int, float], ...]:
    """(token, its log-probability) of the `count` likeliest in the model's own distribution, best first."""
    if count == 0:
        return ()
    found = source.candidates(count, 1.0, 1.0)
    logprob = _logprob_of(source, 1.0)
    return tuple((token, logprob(found, index)) for index, token in enumerate(found.ids))


def _logprob_of(source: LogitsSource, penalty: float) -> Callable[[Candidates, int], float]:
    """log p(token) = its logit before penalty and temperature - log_sum_exp of all of them."""
    pack, unpack, raw_logit = _F32.pack, _F32.unpack, source.raw_logit

    def unpenalised(found: Candidates, index: int) -> float:
        logprob: float = unpack(pack(found.logits[index] - found.log_sum_exp))[0]
        return logprob

    def penalised(found: Candidates, index: int) -> float:
        logprob: float = unpack(pack(raw_logit(found.ids[index]) - found.log_sum_exp))[0]
        return logprob

    return unpenalised if penalty == 1.0 else penalised
