"""What several teachers say together, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from torch import Tensor

from tests.tools.training.tiny import LLAMA, NEOX, TRAINING, description, make_places, train
from tinypylm.format import parse
from tinypylm_tools.training import checkpoint, network
from tinypylm_tools.training.answers import STEPS_PER_NAT, asked, coded, decoded, remembered
from tinypylm_tools.training.batches import Batch, Batches
from tinypylm_tools.training.description import read_description
from tinypylm_tools.training.measure import Machine
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.teaching import Teacher

_EXACT = Machine(torch.device("cpu"), bf16=False)


def teacher(tmp_path: Path, model: str, seed: int) -> Teacher:
    """Random weights, with logits as far apart as a trained model's."""
    path = tmp_path / f"{seed}.toml"
    path.write_text(description(model), encoding="utf-8")
    shape = read_description(path).model
    assert shape is not None
    config = shape.config()
    weights = {key: 8 * weight for key, weight in network.initial_weights(config, seed).items()}
    return Teacher(config, weights, network.turns(config, _EXACT.device), torch.arange(config.vocab_size))


def batches(seed: int = 0) -> Batches:
    random = np.random.default_rng(2)
    found = [random.integers(0, 300, length).astype(np.uint32) for length in random.integers(2, 49, 40)]
    return Batches(found, 256, seed)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_several_teachers_are_the_mean_of_their_probabilities(tmp_path: Path, temperature: float) -> None:
    """In f64, as it is said."""
    teachers = [teacher(tmp_path, LLAMA, 1), teacher(tmp_path, NEOX, 2), teacher(tmp_path, LLAMA, 3)]
    batch = batches().batch(0)
    each = [torch.softmax(one.logits(batch.ids).double() / temperature, -1) for one in teachers]
    assert float((each[0] - each[1]).abs().max()) > 0.1
    told = asked(teachers, temperature, _EXACT)(batch)
    torch.testing.assert_close(told.double().exp(), sum(each, torch.zeros(())) / 3, rtol=1e-4, atol=1e-9)


def test_what_is_remembered_is_what_was_said_in_whatever_batch(tmp_path: Path) -> None:
    ask, calls = asked([teacher(tmp_path, LLAMA, 1)], 1.0, _EXACT), []

    def counted(batch: Batch) -> Tensor:
        calls.append(batch.pieces)
        return ask(batch)

    shown, said = batches(seed=7), []
    recall = remembered(counted, batches(seed=3), 300, _EXACT, said.append)
    assert not calls
    for number in range(2 * shown.per_epoch):
        batch = shown.batch(number)
        expected, found = ask(batch), recall(batch)
        assert found.shape == expected.shape
        there = (batch.targets >= 0)[..., None] & (expected > -15)
        assert int(there.sum()) > 1000
        assert float((found - expected)[there].abs().max()) < 1 / STEPS_PER_NAT  # half of it the rounding, half the sum
    assert sorted(piece for pieces in calls for piece in pieces) == list(range(40))
    assert f"{sum(shown.lengths):,} tokens" in said[0]
    assert "GB" in said[1]


def test_codes_keep_sixteenths_of_a_nat_and_add_up_to_one() -> None:
    logarithms = torch.log_softmax(torch.linspace(-30, 10, 500), -1)
    codes = coded(logarithms)
    assert codes.dtype == torch.uint8
    assert int(codes.max()) == 255
    assert float((codes.float() / -STEPS_PER_NAT - logarithms)[logarithms > -15].abs().max()) <= 0.5 / STEPS_PER_NAT
    assert float(decoded(codes).exp().sum()) == pytest.approx(1, abs=1e-6)


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `first` and `second`, of two families, with one tokenizer."""
    folder = tmp_path_factory.mktemp("masters")
    for run, model in {"first": LLAMA, "second": NEOX}.items():
        result = train(make_places(folder, description(model, more='export = ["f32"]\n'), run))
        assert result.exit_code == 0, result.output
    return folder


def taught(masters: Path, run: str, schedule: str) -> tuple[Places, list[str | Path]]:
    """A run from the first that learns from both."""
    text = description("", TRAINING, schedule, 'export = ["f32"]\n') + "[teaching]\nshare = 1.0\nremember = true\n"
    options = ["--from", masters / "first", "--teacher", masters / "first", "--teacher", masters / "second"]
    return make_places(masters, text, run), options


def test_a_run_learns_from_two_and_its_file_names_both(masters: Path) -> None:
    places, options = taught(masters, "both", "steps = 30\nwarmup_steps = 4\n")
    result = train(places, *options)
    assert result.exit_code == 0, result.output
    held_out = checkpoint.read(places.folder / checkpoint.CHECKPOINT).progress.held_out
    assert held_out[-1][1] < held_out[0][1]
    digests = parse((places.folder / "tiny-f32.slm").read_bytes()).metadata["source_sha256"]
    named = {"best_pt", "teacher_1_best_pt", "teacher_2_best_pt"}
    assert named <= digests.keys()  # type: ignore[union-attr]
    assert len({digests[name] for name in named}) == 2  # type: ignore[index,call-overload]


def test_a_run_that_goes_on_hears_the_same(masters: Path) -> None:
    level = 'kind = "wsd"\nwarmup_steps = 2\nsteps = '
    for run, steps in (("whole", 6), ("parted", 3), ("parted", 6)):
        places, options = taught(masters, run, f"{level}{steps}\n")
        assert train(places, *options).exit_code == 0
    whole, parted = (checkpoint.read(masters / run / checkpoint.CHECKPOINT).progress for run in ("whole", "parted"))
    assert len(whole.window) == 6
    assert parted.window == whole.window


def test_an_export_asks_nobody(masters: Path) -> None:
    places, options = taught(masters, "exported", "steps = 1\nwarmup_steps = 0\n")
    assert "Asking the teachers" in train(places, *options).output
    again = train(places, *options, "--export")
    assert again.exit_code == 0, again.output
    assert "Asking the teachers" not in again.output


def test_what_is_not_to_be_remembered_is_asked_at_every_step(masters: Path) -> None:
    places, options = taught(masters, "forgetful", "steps = 2\nwarmup_steps = 0\n")
    places.description.write_text(places.description.read_text().replace("remember = true\n", ""))
    result = train(places, *options)
    assert result.exit_code == 0, result.output
    assert "Asking the teachers" not in result.output


def test_another_order_of_teachers_is_another_run(masters: Path) -> None:
    places, options = taught(masters, "order", "steps = 1\nwarmup_steps = 0\n")
    assert train(places, *options).exit_code == 0
    refused = train(places, *options[:2], *options[4:], *options[2:4])
    assert "[RunMismatch]" in refused.stderr
