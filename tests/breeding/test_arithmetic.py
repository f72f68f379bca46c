"""Every operator on one tensor: literal numbers, then an oracle without NumPy, then what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.breeding import definitions
from tests.breeding.families import blended
from tinypylm.canonical import JsonObject
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.sums import arc_weights, fold
from tinypylm_tools.quantise import F32

RATES: JsonObject = {"keep_ppm": definitions.KEEP, "floor_ppm": definitions.FLOOR, "seed": str(definitions.SEED)}
BASED = list(definitions.BASED)
SIZES = st.sampled_from([1, 2, 31, 99])
COMMON = np.array([0, 0, 0.5, -0.5, 1, -1, 0.3, -0.7, 1e-3, 2], np.float32)


def tensors(count: int) -> st.SearchStrategy[list[F32]]:
    """`count` tensors of one size; half of their values are of the few above, so that many coincide."""
    def make(size: int, seed: int) -> list[F32]:
        random = np.random.RandomState(seed)
        rare, common = random.uniform(-2, 2, (count, size)), random.choice(COMMON, (count, size))
        return list(np.where(random.randint(0, 2, (count, size)) == 1, rare, common).astype(np.float32))
    return st.builds(make, SIZES, st.integers(0, 2**32 - 1))


def rates(operator: str, weights: list[int] | None = None) -> JsonObject:
    """Those of RATES that the operator uses."""
    table = OPERATORS[operator]
    used = {"keep_ppm": table.keep, "floor_ppm": table.floor, "seed": table.seeded}
    chosen: JsonObject = {key: value for key, value in RATES.items() if used[key]}
    return {**chosen, "weights_ppm": [*weights]} if weights and table.weight else chosen


BASE = [1.0, 2.0, -1.0, 0.5]
FIRST = [1.5, 2.0, -2.0, 0.75]
SECOND = [0.0, 2.0, -1.5, 1.0]
GOLDEN: dict[str, tuple[list[list[float]], JsonObject, list[float]]] = {
    "task-delta": ([FIRST, SECOND], {"weights_ppm": [500_000, -1_000_000]}, [2.25, 2.0, -1.0, 0.125]),
    "sparse-task-delta": ([FIRST], {"keep_ppm": 500_000}, [1.5, 2.0, -2.0, 0.5]),
    "magnitude-prune": ([FIRST], {"keep_ppm": 750_000, "floor_ppm": 800_000}, [0.0, 2.0, -2.0, 0.0]),
    "dare": ([FIRST], {"keep_ppm": 500_000, "seed": "5"}, [2.0, 2.0, -3.0, 1.0]),
    "federated": ([FIRST], {"weights_ppm": [500_000]}, [1.25, 2.0, -1.5, 0.625]),
    "sign-merge": ([FIRST, SECOND], {}, [0.0, 2.0, -1.75, 0.875]),
    "linear": ([FIRST, SECOND], {"weights_ppm": [250_000, 750_000]}, [0.375, 2.0, -1.625, 0.9375]),
    "slerp": ([[1.0, 0.0], [0.0, 1.0]], {}, [math.sqrt(0.5), math.sqrt(0.5)]),
    "della": ([FIRST], {"keep_ppm": 500_000, "seed": "1"}, [1 + 0.5e6 / 666_667, 2.0, -2.0, 0.5]),
    "breadcrumbs": ([FIRST], {"keep_ppm": 250_000, "floor_ppm": 500_000}, [1.5, 2.0, -1.0, 0.5]),
    "split-point": ([FIRST, SECOND], {"keep_ppm": 500_000, "weights_ppm": [1, 0]}, [1.5, 2.0, -1.5, 1.0]),
}


@pytest.mark.parametrize("operator", GOLDEN)
def test_golden_numbers(operator: str) -> None:
    parents, chosen, expected = GOLDEN[operator]
    result, _ = blended(operator, BASE if OPERATORS[operator].base else None, parents, chosen)
    assert result.tolist() == [float(np.float32(value)) for value in expected]


def test_every_operator_that_computes_has_golden_numbers() -> None:
    assert set(GOLDEN) | {"crossover"} == set(OPERATORS)


@pytest.mark.parametrize("operator", BASED)
@given(values=tensors(4), weights=st.lists(st.integers(1, 3_000_000), min_size=3, max_size=3))
@settings(max_examples=50)
def test_results_are_those_of_the_definition(operator: str, values: list[F32], weights: list[int]) -> None:
    base, *parents = values
    result, _ = blended(operator, base, parents, rates(operator, weights))
    deltas = definitions.deltas_of(base.tolist(), [parent.tolist() for parent in parents])
    assert result.tolist() == definitions.BASED[operator](base.tolist(), deltas, weights)


@given(values=tensors(1), keep=st.integers(1, 1_000_000), floor=st.integers(0, 1_000_000))
def test_pruning_is_that_of_the_definition(values: list[F32], keep: int, floor: int) -> None:
    result, _ = blended("magnitude-prune", None, values, {"keep_ppm": keep, "floor_ppm": floor})
    assert result.tolist() == definitions.pruned(values[0].tolist(), keep, floor)


@given(values=tensors(3), weights=st.lists(st.integers(1, 3_000_000), min_size=3, max_size=3))
def test_a_linear_merge_is_the_weighted_mean(values: list[F32], weights: list[int]) -> None:
    result, _ = blended("linear", None, values, {"weights_ppm": [*weights]})
    assert result.tolist() == definitions.mean([value.tolist() for value in values], weights)


@given(st.floats(-0.9995, 0.9995), st.integers(0, 1_000_000))
def test_the_weights_of_an_arc_are_those_of_libm_but_for_their_last_digits(cos: float, ppm: int) -> None:
    angle, t = math.acos(cos), ppm / 1_000_000
    expected = [math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)]
    assert arc_weights(cos, t) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100))
def test_a_fold_is_a_sum_in_a_fixed_order(values: list[float]) -> None:
    expected = definitions.folded(values)
    assert fold(np.array(values)) == expected
    assert expected == pytest.approx(math.fsum(values), abs=1e-6)


@pytest.mark.parametrize("operator", [name for name, table in OPERATORS.items() if table.base])
@given(values=tensors(3))
@settings(max_examples=30)
def test_the_opposite_deltas_give_the_opposite_change(operator: str, values: list[F32]) -> None:
    zero = np.zeros_like(values[0])
    there, _ = blended(operator, zero, values, rates(operator))
    back, _ = blended(operator, zero, [-value for value in values], rates(operator))
    assert back.tolist() == (-there).tolist()


@pytest.mark.parametrize("operator", ["task-delta", "sparse-task-delta", "dare", "federated", "sign-merge", "linear"])
@given(values=tensors(2), count=st.integers(1, 5))
@settings(max_examples=30)
def test_copies_of_a_parent_at_full_rate_give_the_parent(operator: str, values: list[F32], count: int) -> None:
    base, parent = values
    table = OPERATORS[operator]
    chosen: JsonObject = {"keep_ppm": 1_000_000} if table.keep else {}
    count = max(count, table.fewest)
    if operator in ("task-delta", "sparse-task-delta", "dare"):
        chosen["weights_ppm"] = [1_000_000, *[0] * (count - 1)]
    if operator == "federated":
        chosen["weights_ppm"] = [*[200_000] * (count - 1), 1_000_000 - 200_000 * (count - 1)]
    result, _ = blended(operator, base if table.base else None, [parent] * count, chosen)
    assert result.tolist() == parent.tolist()


@pytest.mark.parametrize("operator", ["slerp", "split-point"])
@given(values=tensors(1), weights=st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)))
@settings(max_examples=30)
def test_two_copies_of_a_parent_give_the_parent(operator: str, values: list[F32], weights: tuple[int, int]) -> None:
    chosen: JsonObject = {"weights_ppm": [*weights]}
    if operator == "split-point":
        chosen["keep_ppm"] = 400_000
    result, _ = blended(operator, None, [values[0], values[0]], chosen)
    assert result.tolist() == values[0].tolist()


@pytest.mark.parametrize("operator", [name for name, table in OPERATORS.items() if table.base])
@given(values=tensors(1))
@settings(max_examples=20)
def test_no_delta_gives_the_bytes_of_the_base(operator: str, values: list[F32]) -> None:
    base = np.where(values[0] == 0, np.float32(-0.0), values[0])
    result, _ = blended(operator, base, [base + 0.0, base], rates(operator))
    assert result.tobytes() == base.tobytes()


@given(values=tensors(1))
def test_plus_and_minus_a_delta_abstain_and_are_counted(values: list[F32]) -> None:
    base = np.ones_like(values[0])
    delta = np.rint(values[0] * 8) / 8
    result, trace = blended("sign-merge", base, [base + delta, base - delta])
    assert result.tolist() == base.tolist()
    assert trace.votes.ties == np.count_nonzero(delta)
    assert trace.votes.silent == np.count_nonzero(delta == 0)


def test_the_mean_of_dare_over_400_seeds_is_the_delta() -> None:
    delta, keep, seeds = np.linspace(-1, 1, 99, dtype=np.float32), 0.3, 400
    results = [blended("dare", np.zeros(99), [delta], {"keep_ppm": 300_000, "seed": seed})[0] for seed in range(seeds)]
    sigma = np.abs(delta) * math.sqrt((1 - keep) / keep / seeds)
    assert (np.abs(np.mean(results, axis=0, dtype=np.float64) - delta) <= 4 * sigma + 1e-9).all()


@given(keep=st.tuples(st.integers(1, 1_000_000), st.integers(1, 1_000_000)))
def test_what_dare_keeps_at_a_lower_rate_it_keeps_at_a_higher_one(keep: tuple[int, int]) -> None:
    lower, higher = (
        blended("dare", np.zeros(99), [np.ones(99)], {"keep_ppm": ppm, "seed": 5})[0] != 0 for ppm in sorted(keep))
    assert not (lower & ~higher).any()


def test_a_client_with_a_long_delta_is_clipped_to_the_median() -> None:
    result, _ = blended("federated", [0.0, 0.0], [[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]], {"weights_ppm": [1, 1, 10**6]})
    assert result.tolist() == pytest.approx([3.0, 4.0], rel=1e-5)
