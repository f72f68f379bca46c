"""`tinypylm train` as a person meets it."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tests.tools.training.tiny import LLAMA, SCHEDULE, TRAINING, description, make_places, train
from tinypylm.format import parse
from tinypylm_tools.cli import main
from tinypylm_tools.training import checkpoint
from tinypylm_tools.training.conversations import CHAT
from tinypylm_tools.training.description import (
    Card,
    Data,
    Description,
    Reduction,
    Schedule,
    Shape,
    Teaching,
    Training,
)
from tinypylm_tools.training.run import Run


def test_one_command_trains_and_packs(tmp_path: Path) -> None:
    places = make_places(tmp_path, description(more='export = ["q8_0"]\n'))
    result = train(places)
    assert result.exit_code == 0, result.output
    path = places.folder / "tiny-q8_0.slm"
    told = re.fullmatch(rf"{path}: {path.stat().st_size:,} bytes, (.+) bits per byte held out \((.+) to (.+)\)",
                        result.stdout.splitlines()[-1])
    assert told is not None, result.stdout
    bits, low, high = map(float, told.groups())
    assert low < bits < high
    assert parse(path.read_bytes()).metadata["name"] == "Tiny"


def test_a_model_that_learnt_conversations_says_so_in_its_file(tmp_path: Path) -> None:
    text = description(more='export = ["q8_0"]\n', schedule="steps = 2\n")
    places = make_places(tmp_path, text.replace("[data]\n", '[data]\nform = "chat"\n'))
    assert train(places).exit_code == 0
    assert parse((places.folder / "tiny-q8_0.slm").read_bytes()).metadata["chat"] == CHAT


def test_a_run_that_is_asked_to_end_leaves_a_checkpoint_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = make_places(tmp_path, description())
    step = Run._step

    def asked(run: Run) -> None:
        step(run)
        if run.progress.step == 9:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        monkeypatch.setattr(Run, "_step", asked)
        assert train(places).exit_code == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert checkpoint.read(places.folder / checkpoint.CHECKPOINT).progress.step == 9
    assert not list(places.folder.glob("*.slm"))
    result = train(places)
    assert "Going on behind step 9" in result.output
    assert len(list(places.folder.glob("*.slm"))) == 3


def test_the_best_so_far_can_be_packed_without_a_step(tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    train(make_places(tmp_path, description(schedule="steps = 2\n")))
    assert train(places, "--export").exit_code == 0
    assert checkpoint.read(places.folder / checkpoint.CHECKPOINT).progress.step == 2
    assert len(list(places.folder.glob("*.slm"))) == 3


def test_exporting_a_run_that_has_not_begun_is_refused(tmp_path: Path) -> None:
    result = train(make_places(tmp_path, description()), "--export")
    assert result.exit_code == 1
    assert "[MissingFile]" in result.stderr


def test_a_run_can_start_from_a_packed_model(tmp_path: Path) -> None:
    parent = make_places(tmp_path, description())
    train(parent)
    child = make_places(tmp_path, description(model="", training=TRAINING, schedule=SCHEDULE), "child")
    result = train(child, "--from", parent.folder / "tiny-f32.slm")
    assert result.exit_code == 0, result.output
    model = parse((child.folder / "tiny-f32.slm").read_bytes())
    assert "tiny_f32_slm" in model.metadata["source_sha256"]  # type: ignore[operator]
    assert "lineage_sha256" not in model.metadata


@pytest.mark.parametrize(("change", "code"), [
    (("heads = 4", "heads = 3"), "UnsupportedCheckpoint"),
    (("hidden_size = 64", "hidden_size = 8192"), "BudgetExceeded"),
])
def test_a_model_that_no_file_can_hold_is_refused_before_a_step(
    tmp_path: Path, change: tuple[str, str], code: str
) -> None:
    places = make_places(tmp_path, description(model=LLAMA.replace(*change)))
    result = train(places)
    assert result.exit_code == 1
    assert f"[{code}]" in result.stderr
    assert not list(places.folder.glob("*.pt"))


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    with places.claimed():
        result = train(places)
    assert result.exit_code == 1
    assert "another process trains in" in result.stderr
    assert "[RunMismatch]" in result.stderr


def test_a_folder_that_takes_no_lock_is_refused(tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    (places.folder / ".lock").mkdir(parents=True)
    result = train(places)
    assert result.exit_code == 1
    assert f"{places.folder / '.lock'} cannot be written" in result.stderr
    assert "[UnwritableFile]" in result.stderr


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    result = train(replace(places, folder=tmp_path / "texts.txt" / "run"))
    assert result.exit_code == 1
    assert "[UnwritableFile]" in result.stderr


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    result = train(places)
    assert result.exit_code == 1
    assert "needs the package tokenizers" in result.stderr
    assert "tinypylm[train]" in result.stderr


def test_every_option_and_every_key_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "training.md").read_text(encoding="utf-8")
    command = main.get_command(click.Context(main), "train")
    assert command is not None
    for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
        assert f"`{option}" in text, option
    for section in (Description, Data, Shape, Reduction, Training, Teaching, Schedule, Card):
        for field in fields(section):
            assert f"`{field.name}`" in text or f"`[{field.name}]`" in text, field.name
