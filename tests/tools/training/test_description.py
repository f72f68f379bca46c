"""The TOML file of a run: a closed schema, each refusal with the name of the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.training.tiny import LLAMA, SCHEDULE, TRAINING, description
from tinypylm.config import Family
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.training.description import Description, read_description


def read(folder: Path, text: str) -> Description:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return read_description(path)


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    described = read(tmp_path, description())
    assert described.training.optimiser == "adamw"
    assert described.training.accumulate == 1
    assert described.data.keep == "all"
    assert described.export == ("f32", "q8_0", "q4_0")


def test_an_integer_is_a_number_too(tmp_path: Path) -> None:
    assert read(tmp_path, description(training=TRAINING + "clip = 2\n")).training.clip == 2.0


def test_a_run_without_a_model_starts_from_another(tmp_path: Path) -> None:
    assert read(tmp_path, description(model="")).model is None


def test_a_shape_becomes_the_configuration_of_a_file(tmp_path: Path) -> None:
    model = read(tmp_path, description()).model
    assert model is not None
    config = model.config()
    assert (config.family, config.head_dim, config.rotary_dim) == (Family.LLAMA, 16, 16)
    assert (config.bos_id, config.eos_id) == (0, 1)
    assert not config.parallel_residual


@pytest.mark.parametrize(("text", "field"), [
    (description(more="speed = 1\n"), "speed"),
    (description().replace("seed = 5", ""), "seed"),
    (description().replace("seed = 5", "seed = true"), "seed"),
    (description().replace("seed = 5", "seed = -1"), "seed"),
    (description().replace("seed = 5", 'seed = "5"'), "seed"),
    (description(model=LLAMA.replace("layers = 2", "layers = 0")), "layers"),
    (description(model=LLAMA.replace('"llama"', '"mamba"')), "family"),
    (description(training=TRAINING + 'optimiser = "sgd"\n'), "optimiser"),
    (description(training=TRAINING + "clip = nan\n"), "clip"),
    (description(training=TRAINING + "compile = 1\n"), "compile"),
    (description().replace("seed = 5", f"seed = {1 << 32}"), "seed"),
    (description(training=TRAINING.replace("dropout = 0.1", "dropout = 1")), "dropout"),
    (description(training=TRAINING + "beta2 = 1.0\n"), "beta2"),
    (description(model=LLAMA + "rotary_share = 0.5\n"), "rotary_share"),
    (description(model=LLAMA + "parallel_residual = true\n"), "parallel_residual"),
    (description(schedule=SCHEDULE + "decay_steps = 5\n"), "decay_steps"),
    (description(training=TRAINING + "depth = 1\n"), "depth"),
    (description(more='export = ["f16"]\n'), "export"),
    (description(more="export = []\n"), "export"),
    (description().replace('["texts.txt"]', '"texts.txt"'), "texts"),
    ('name = "x"\nseed = 1\ndata = 3\ncard = 3\ntraining = 3\nschedule = 3\n', "data"),
])
def test_what_the_schema_does_not_have_is_refused_by_name(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ToolError) as caught:
        read(tmp_path, text)
    assert caught.value.code is ErrorCode.UNUSABLE_RUN
    assert caught.value.detail["field"] == field
    assert field in caught.value.message


@pytest.mark.parametrize("data", [b"name = ", b"name = \"\xff\""])
def test_what_is_not_toml_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(data)
    with pytest.raises(ToolError, match="is not TOML") as caught:
        read_description(path)
    assert caught.value.code is ErrorCode.UNUSABLE_RUN


def test_a_missing_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        read_description(tmp_path / "none.toml")
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_every_committed_description_can_be_read(repo_root: Path) -> None:
    paths = sorted((repo_root / "training").glob("*.toml"))
    assert paths
    for path in paths:
        assert read_description(path).name == path.stem
