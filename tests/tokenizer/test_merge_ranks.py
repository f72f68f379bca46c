"""Sorted arrays answer as the dict of all merges would."""

from __future__ import annotations

from array import array
from itertools import chain, product

from hypothesis import given
from hypothesis import strategies as st

from tinypylm.merge_ranks import MergeRanks

TOKENS = st.integers(0, 6)


@given(st.dictionaries(st.tuples(TOKENS, TOKENS), TOKENS))
def test_every_pair_has_its_rank_and_result_or_none(rules: dict[tuple[int, int], int]) -> None:
    numbers = chain.from_iterable((*pair, result) for pair, result in rules.items())
    ranks = MergeRanks(array("I", numbers), 7)
    expected = {pair: rank for rank, pair in enumerate(rules)}
    for pair in product(range(7), repeat=2):
        assert ranks.rank(*pair) == expected.get(pair)
    assert [ranks.result(rank) for rank in range(len(rules))] == [*rules.values()]
