"""`tinypylm logits`: one row for each position, the numbers of the engine, whole or not at all."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.session.scripted_model import BOS, bigram_model
from tinypylm_tools.cli import main


@pytest.fixture(scope="module")
def table():
    return np.random.default_rng(5).normal(0, 3, (259, 259)).astype(np.float32)


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("logits") / "bigram.slm"
    path.write_bytes(bigram_model(table, context_length=24))
    return path


def logits(model, *arguments):
    return CliRunner().invoke(main, ["logits", str(model), *arguments])


@pytest.mark.parametrize(
    ("arguments", "ids"), [(["--ids", "5,256,97"], [5, 256, 97]), (["--prompt", "twenty three characters"],
                                                                   [BOS, *b"twenty three characters"])]
)
def test_row_i_holds_the_logits_after_token_i(model, table, tmp_path, arguments, ids):
    out = tmp_path / "rows.npy"
    result = logits(model, *arguments, "--out", str(out))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{out}: float32[{len(ids)}, 259]\n"
    rows = np.load(out)
    assert (rows.dtype, rows.shape) == (np.dtype("<f4"), (len(ids), 259))
    np.testing.assert_allclose(rows, table[ids], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--ids", "1,259"], "TokenOutOfRange"),
        (["--ids", "-1"], "TokenOutOfRange"),
        (["--ids", ",".join(["1"] * 25)], "ContextExceeded"),
        (["--prompt", "x" * 24], "ContextExceeded"),
        (["--prompt", ""], "EmptyPrompt"),
    ],
)
def test_tokens_that_the_model_cannot_take_are_refused_and_nothing_is_written(model, tmp_path, arguments, code):
    result = logits(model, *arguments, "--out", str(tmp_path / "rows.npy"))
    assert result.exit_code == 1
    assert result.stderr.endswith(f"[{code}]\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["--prompt", "a", "--ids", "1"], ["--ids", "1,x"], ["--ids", ""]])
def test_a_command_line_that_makes_no_sense_is_a_usage_error(model, tmp_path, arguments):
    result = logits(model, *arguments, "--out", str(tmp_path / "rows.npy"))
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_a_folder_that_does_not_exist_is_refused_before_the_work(model, tmp_path):
    result = logits(model, "--ids", "1", "--out", str(tmp_path / "none" / "rows.npy"))
    assert result.exit_code == 1
    assert result.stderr.endswith("[MissingFile]\n")
