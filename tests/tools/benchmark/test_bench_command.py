"""`tinypylm bench` as a person meets it: what it refuses, and one real run with figures that must make sense."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinypylm_tools.bench_models import SHAPES
from tinypylm_tools.benchmark.comparison import Sample
from tinypylm_tools.benchmark.visits import Visits
from tinypylm_tools.cli import main
from tinypylm_tools.commands import bench


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["bench", *(str(argument) for argument in arguments)])


@pytest.mark.parametrize("name", ["Z:q8_0", "A:q5_0", "A", "A:", ":q8_0"])
def test_a_shape_that_is_unknown_is_named(name: str) -> None:
    result = run("--shape", name)
    assert result.exit_code == 1
    assert f"the shape '{name}' is unknown" in result.stderr
    assert "[UnknownOption]" in result.stderr


@pytest.mark.parametrize("arguments", [
    ("--peer", "another"), ("--threads", "0"), ("--runs", "0"), ("missing.slm",),
])
def test_options_outside_their_range_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_peers_are_not_measured_on_files(repo_root: Path) -> None:
    result = run(repo_root / "models" / "storyteller-2m-q8_0.slm", "--peer", "wllama")
    assert result.exit_code == 2
    assert "--shape" in result.stderr


def test_every_option_and_every_metric_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "benchmark.md").read_text(encoding="utf-8")
    options = [option for parameter in bench.command.params for option in parameter.opts if option.startswith("--")]
    metrics = [field.name for kind in (Sample, Visits) for field in fields(kind)]
    assert [name for name in (*options, *metrics, *SHAPES) if f"`{name}" not in text] == []


@pytest.mark.browser
@pytest.mark.slow
def test_decoding_keeps_its_share_of_the_limit_that_the_same_run_measured(tmp_path: Path) -> None:
    """Its best turn, since a machine that others use can spoil any; usual is about half of the limit."""
    figures = tmp_path / "figures.json"
    program = "from tinypylm_tools.cli import main; main()"
    arguments = ["bench", "--shape", "A:q8_0", "--runs", "3", "--json", str(figures)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(figures.read_text())
    assert set(document) == {"machine", "browser", "date", "results"}
    (decode,) = (row for row in document["results"] if row["metric"] == "decode_tokens_per_second")
    assert (decode["shape"], decode["quantization"], decode["threads"], decode["peers"]) == ("A", "q8_0", 1, {})
    assert max(turn["ours"] for turn in decode["runs"]) >= 0.25 * decode["limit"]
    assert "| A q8_0 | 1 | decode, own clock, tok/s |" in done.stdout
