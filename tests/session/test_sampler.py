"""Sampling: the generator against published values, the filters against transformers, the draw against chance."""

from itertools import accumulate

import numpy as np
import pytest

from tests.session.numpy_logits import NumpyLogits
from tinypylm.options import SamplingOptions
from tinypylm.sampler import chosen_index, kept_count, make_sampler, splitmix64, uniform

GOLDEN_UNIFORMS = ["0x1.7bae644c5fd6dp-1", "0x1.477f199d93378p-3", "0x1.1d499d5c4c3e6p-2", "0x1.607387fc392b8p-2"]
GOLDEN_TOKENS = [22, 30, 29, 28, 31, 19, 29, 21, 28, 24, 30, 26]


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        # https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64 and Vigna's splitmix64.c
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
                   16408922859458223821]),
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]),
    ],
)
def test_splitmix64_gives_the_published_outputs(seed, outputs):
    assert [splitmix64(seed, draw) for draw in range(len(outputs))] == outputs


def test_the_uniform_draws_of_seed_42_never_change():
    assert [uniform(42, draw).hex() for draw in range(4)] == GOLDEN_UNIFORMS


def test_uniform_draws_stay_below_one_and_reach_their_ends():
    draws = [uniform(seed, 0) for seed in range(2000)]
    assert 0 <= min(draws) < 0.002
    assert 0.998 < max(draws) < 1
    assert uniform(2**64 - 1, 10**6) < 1


def sampled(source, options, draws):
    choose = make_sampler(source, options)
    return [choose(draw)[0] for draw in range(draws)]


def probabilities(source, options):
    """The distribution that the sampler draws from, by token id."""
    found = source.candidates(options.top_k, options.temperature, options.repetition_penalty)
    kept = kept_count(list(accumulate(found.weights)), found.weights, options.top_p, options.min_p)
    weights = np.array(found.weights[:kept], np.float64)
    result = np.zeros(len(source.raw))
    result[np.array(found.ids[:kept])] = weights / weights.sum()
    return result


OPTION_SETS = [
    {"temperature": 0.5, "top_k": 1024}, {"temperature": 2.0, "top_k": 1024}, {"temperature": 1.0, "top_k": 5},
    {"temperature": 1.0, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.95, "top_k": 1024},
    {"temperature": 1.0, "top_p": 0.0001}, {"temperature": 1.0, "min_p": 0.1, "top_k": 1024},
    {"temperature": 1.5, "min_p": 1.0}, {"temperature": 0.7, "top_k": 30, "top_p": 0.9, "min_p": 0.05},
    {"temperature": 1.0, "repetition_penalty": 1.7, "top_k": 1024},
    {"temperature": 0.8, "repetition_penalty": 0.6, "top_k": 20, "top_p": 0.8},
]


@pytest.mark.parametrize("values", OPTION_SETS, ids=lambda values: " ".join(f"{k}={v}" for k, v in values.items()))
def test_the_distribution_is_that_of_the_logits_processors_of_transformers(values):
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: interop)")
    pytest.importorskip("transformers", reason="transformers is not installed (extra: interop)")
    options, random = SamplingOptions(**values), np.random.default_rng(7)
    for spread in (0.5, 2.0, 6.0):
        source = NumpyLogits(random.normal(0, spread, 300).astype(np.float32), {3, 5, 250})
        scores = processed(torch, options, source)
        expected = torch.softmax(scores, -1)[0].double().numpy()
        np.testing.assert_allclose(probabilities(source, options), expected, rtol=2e-5, atol=1e-9)


def processed(torch, options, source):
    """The logits after transformers' own processors, in the order in which `generate` applies them."""
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    chain = LogitsProcessorList([
        RepetitionPenaltyLogitsProcessor(float(options.repetition_penalty)),
        TemperatureLogitsWarper(float(options.temperature)), TopKLogitsWarper(options.top_k),
        TopPLogitsWarper(float(options.top_p)), MinPLogitsWarper(float(options.min_p)),
    ])
    return chain(torch.tensor([sorted(source.seen)]), torch.tensor(source.raw)[None].clone())


def test_draws_follow_the_distribution():
    source = NumpyLogits(np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32)))
    counts = np.bincount(sampled(source, SamplingOptions(temperature=1.0, seed=9), 8000), minlength=4)
    np.testing.assert_allclose(counts / 8000, [0.5, 0.25, 0.125, 0.125], atol=0.015)


@pytest.fixture
def spread_out():
    return NumpyLogits(np.random.default_rng(1).normal(0, 1.5, 200).astype(np.float32))


def test_each_filter_narrows_the_choice(spread_out):
    base = SamplingOptions(temperature=1.0, top_k=1024)
    free = set(sampled(spread_out, base, 600))
    best = list(spread_out.candidates(5, 1.0, 1.0).ids)
    assert set(sampled(spread_out, SamplingOptions(temperature=1.0, top_k=5), 600)) == set(best)
    for narrowing in ({"top_p": 0.2}, {"min_p": 0.5}, {"temperature": 0.2}):
        options = SamplingOptions(**{"temperature": 1.0, "top_k": 1024} | narrowing)
        assert set(sampled(spread_out, options, 600)) < free, narrowing


def test_temperature_zero_takes_the_best_whatever_the_seed(spread_out):
    best = spread_out.candidates(1, 1.0, 1.0).ids[0]
    for seed in range(5):
        assert sampled(spread_out, SamplingOptions(temperature=0, seed=seed, top_p=0.1), 3) == [best] * 3


def test_equal_logits_give_the_smaller_id_first():
    assert sampled(NumpyLogits(np.zeros(9, np.float32)), SamplingOptions(temperature=0), 2) == [0, 0]


def test_the_penalty_makes_seen_tokens_rarer_and_leaves_their_logprob(spread_out):
    best = spread_out.candidates(1, 1.0, 1.0).ids[0]
    spread_out.seen = {best}
    plain, penalised = SamplingOptions(temperature=0), SamplingOptions(temperature=0, repetition_penalty=3.0)
    assert sampled(spread_out, plain, 1) == [best]
    token, logprob = make_sampler(spread_out, penalised)(0)
    assert token != best
    assert logprob == expected_logprob(spread_out, token)


def expected_logprob(source, token):
    log_sum_exp = source.candidates(1, 1.0, 1.0).log_sum_exp
    return float(np.float32(float(source.raw[token]) - log_sum_exp))


@pytest.mark.parametrize("values", [{"temperature": 0}, {"temperature": 3.0}, {"temperature": 1.0, "top_p": 0.5}])
def test_a_logprob_is_that_of_the_unfiltered_distribution_in_f32(spread_out, values):
    choose = make_sampler(spread_out, SamplingOptions(**values))
    for draw in range(20):
        token, logprob = choose(draw)
        assert logprob == expected_logprob(spread_out, token)
        assert logprob == pytest.approx(np.log(np.exp(spread_out.raw[token]) / np.exp(spread_out.raw).sum()), abs=1e-5)


def test_a_seed_gives_the_same_tokens_again_and_another_seed_others(spread_out):
    first, again, other = (
        sampled(spread_out, SamplingOptions(temperature=1.0, seed=seed), 50) for seed in (2**64 - 1, 2**64 - 1, 1)
    )
    assert first == again
    assert first != other


def test_the_tokens_of_seed_42_never_change():
    source = NumpyLogits(np.arange(32, dtype=np.float32) / 8)
    options = SamplingOptions(temperature=1.5, top_k=20, top_p=0.9, min_p=0.01, seed=42)
    assert sampled(source, options, 12) == GOLDEN_TOKENS


def test_a_point_just_below_one_falls_on_the_last_kept_candidate_that_weighs_anything():
    weights = memoryview(np.array([1.0, 0.25, 0.125, 0.0, 0.0], np.float32))
    almost_one = 1 - 2.0**-53
    assert chosen_index(weights, 1.0, 0.0, almost_one) == 2
    assert chosen_index(weights, 0.8, 0.0, almost_one) == 1
    assert chosen_index(weights, 1.0, 0.2, almost_one) == 1
    assert chosen_index(weights, 1.0, 0.0, 0.0) == 0
