"""The figures of two turns as programs and people get them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinypylm_tools.benchmark.comparison import Comparison, Sample
from tinypylm_tools.benchmark.results import rows, table
from tinypylm_tools.benchmark.visits import Visits

OURS = Sample(decode_tokens_per_second=1000.0, prompt_tokens_per_second=4000.0, delivered_tokens_per_second=800.0,
              time_to_first_token_ms=40.0, renderer_rss_bytes=200e6)
THEIRS = Sample(100.0, 400.0, 50.0, 320.0, 240e6)
SLOWER = replace(OURS, decode_tokens_per_second=900.0, time_to_first_token_ms=44.0)


@pytest.fixture
def comparison() -> Comparison:
    return Comparison("A", "q8_0", 1, 1600.0, [{"ours": OURS, "3.8.1": THEIRS}, {"ours": SLOWER, "3.8.1": THEIRS}], [])


def document(*comparisons: Comparison) -> dict[str, object]:
    return {"machine": "a machine", "browser": "Chromium 1", "date": "2026-01-31",
            "results": [row for comparison in comparisons for row in rows(comparison)]}


def test_a_row_holds_medians_the_limit_and_every_turn(comparison: Comparison) -> None:
    assert next(rows(comparison)) == {
        "shape": "A", "quantization": "q8_0", "threads": 1, "metric": "decode_tokens_per_second",
        "ours": 950.0, "peers": {"3.8.1": 100.0}, "limit": 1600.0,
        "runs": [{"ours": 1000.0, "3.8.1": 100.0}, {"ours": 900.0, "3.8.1": 100.0}],
    }


def test_only_rates_of_decoding_have_a_limit(comparison: Comparison) -> None:
    limits = {row["metric"]: row["limit"] for row in rows(comparison)}
    assert limits == {
        "decode_tokens_per_second": 1600.0, "delivered_tokens_per_second": 1600.0, "prompt_tokens_per_second": None,
        "time_to_first_token_ms": None, "renderer_rss_bytes": None,
    }


def test_memory_that_the_system_does_not_tell_has_no_row(comparison: Comparison) -> None:
    turns = [{label: replace(sample, renderer_rss_bytes=None) for label, sample in turn.items()}
             for turn in comparison.turns]
    metrics = {row["metric"] for row in rows(replace(comparison, turns=turns))}
    assert "renderer_rss_bytes" not in metrics
    assert len(metrics) == 4


def test_a_figure_that_one_engine_lacks_is_there_for_the_others(comparison: Comparison) -> None:
    without = {"ours": OURS, "3.8.1": replace(THEIRS, renderer_rss_bytes=None)}
    *_, memory = rows(replace(comparison, turns=[without]))
    assert (memory["metric"], memory["ours"], memory["peers"]) == ("renderer_rss_bytes", 200e6, {})


def test_visits_are_rows_too(comparison: Comparison) -> None:
    visits = [{"ours": Visits(2000.0, 700.0), "3.8.1": Visits(1000.0, 900.0)}]
    *_, second = rows(replace(comparison, visits=visits))
    assert (second["metric"], second["ours"], second["peers"]) == ("ready_second_visit_ms", 700.0, {"3.8.1": 900.0})
    assert second["runs"] == [{"ours": 700.0, "3.8.1": 900.0}]


def test_an_engine_that_is_not_there_is_null_and_not_zero(comparison: Comparison) -> None:
    alone = replace(comparison, turns=[{"3.8.1": THEIRS}], limit_tokens_per_second=None)
    assert {row["ours"] for row in rows(alone)} == {None}


def test_the_table_says_how_many_times_better_ours_is(comparison: Comparison) -> None:
    first, _, titles, _, decode, *others = table(document(comparison)).splitlines()
    assert first == "Chromium 1, a machine, 2026-01-31; median (lowest to highest)."
    assert titles == "| model | threads | figure | ours | 3.8.1 | limit | of limit | against 3.8.1 |"
    assert decode == (
        "| A q8_0 | 1 | decode, own clock, tok/s | 950 (900 to 1,000) | 100 (100 to 100) | 1,600 | 59% | 9.50 |"
    )
    first_token = "| A q8_0 | 1 | time to first token, ms | 42.0 (40.0 to 44.0) | 320.0 (320.0 to 320.0) |  |  | 7.62 |"
    assert first_token in others


def test_a_table_without_peers_has_no_columns_for_them(comparison: Comparison) -> None:
    alone = replace(comparison, turns=[{"ours": OURS}])
    assert table(document(alone)).splitlines()[2] == "| model | threads | figure | ours | limit | of limit |"
