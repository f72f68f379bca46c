"""Whole runs of a tiny model: what they learn, how they go on, and what their files compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tests.tools.training.tiny import CARD, LLAMA, NEOX, SCHEDULE, TRAINING, description, documents, make_places
from tinypylm.config import DType, Family
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import parse
from tinypylm_tools.scoring import bits_per_byte, logit_rows, open_engine
from tinypylm_tools.training import checkpoint, network
from tinypylm_tools.training.corpus import is_held_out
from tinypylm_tools.training.description import read_description
from tinypylm_tools.training.export import Exported, export
from tinypylm_tools.training.opening import open_run
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.run import Run

MUON = 'optimiser = "muon"\n'


def opened(places: Places) -> Run:
    places.folder.mkdir(exist_ok=True)
    return open_run(read_description(places.description), places, lambda _: None)


def gone(places: Places, until: Callable[[Run], bool] = lambda _: False) -> Run:
    run = opened(places)
    run.go(lambda _: None, lambda: until(run))
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Places]:
    places = make_places(tmp_path_factory.mktemp("trained"), description())
    return gone(places), places


def test_a_model_learns_its_documents(trained: tuple[Run, Places]) -> None:
    run, _ = trained
    (_, first), (_, last) = run.progress.held_out[0], run.progress.held_out[-1]
    assert run.progress.step == 30
    assert last < first / 2


@pytest.mark.parametrize("training", [TRAINING, TRAINING + MUON + 'accumulate = 2\nquantisation = "q4_0"\n'])
def test_a_run_that_was_stopped_twice_has_the_losses_of_one_that_was_not(tmp_path: Path, training: str) -> None:
    text = description(training=training, schedule="steps = 22\nwarmup_steps = 4\n")
    whole = gone(make_places(tmp_path, text, "whole"))
    for last in (7, 19):
        gone(make_places(tmp_path, text, "parts"), lambda run, last=last: run.progress.step >= last)
    parts = gone(make_places(tmp_path, text, "parts"))
    assert parts.progress.losses == whole.progress.losses
    assert parts.progress.window == whole.progress.window
    assert parts.progress.held_out == whole.progress.held_out
    assert all(parts.weights[key].equal(whole.weights[key]) for key in whole.weights)


def test_a_finished_run_takes_no_further_step(trained: tuple[Run, Places]) -> None:
    run, places = trained
    again = gone(places)
    assert again.progress == run.progress


def test_a_schedule_can_be_prolonged(tmp_path: Path) -> None:
    gone(make_places(tmp_path, description()))
    assert gone(make_places(tmp_path, description(schedule="steps = 34\n"))).progress.step == 34


@pytest.mark.parametrize(("text", "field"), [
    (description().replace("seed = 5", "seed = 6"), "seed"),
    (description(training=TRAINING + MUON), "training"),
    (description(model=LLAMA.replace("ffn_size = 96", "ffn_size = 128")), "model"),
])
def test_another_run_does_not_go_on_from_a_checkpoint(trained: tuple[Run, Places], text: str, field: str) -> None:
    _, places = trained
    other = places.folder.parent / "other.toml"
    other.write_text(text, encoding="utf-8")
    with pytest.raises(ToolError) as caught:
        opened(replace(places, description=other))
    assert caught.value.code is ErrorCode.RUN_MISMATCH
    assert caught.value.detail["field"] == field


def test_other_texts_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    places = make_places(tmp_path, description(schedule="steps = 1\n"))
    gone(places)
    with (tmp_path / "texts.txt").open("a", encoding="utf-8") as file:
        file.write("\n<|endoftext|>\nOne more.")
    with pytest.raises(ToolError, match="train_sha256"):
        opened(places)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    places = make_places(tmp_path, description(schedule="steps = 1\n"))
    gone(places)
    path = places.folder / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ToolError) as caught:
        opened(places)
    assert caught.value.code is ErrorCode.UNUSABLE_RUN


def test_a_checkpoint_of_code_is_refused(tmp_path: Path) -> None:
    places = make_places(tmp_path, description())
    places.folder.mkdir()
    torch.save({"progress": Exported}, places.folder / checkpoint.CHECKPOINT)
    with pytest.raises(ToolError) as caught:
        opened(places)
    assert caught.value.code is ErrorCode.UNUSABLE_RUN


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    run = opened(make_places(tmp_path, description()))
    with torch.no_grad():
        next(iter(run.weights.values())).fill_(float("nan"))
    with pytest.raises(ToolError) as caught:
        run.go(lambda _: None)
    assert caught.value.code is ErrorCode.TRAINING_DIVERGED


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path) -> None:
    training = TRAINING.replace("learning_rate = 1e-2", "learning_rate = 1e-9").replace("15", "2") + "patience = 3\n"
    run = opened(make_places(tmp_path, description(training=training)))
    run.progress.held_out.append((0, 0.001))
    run.go(lambda _: None)
    assert run.progress.step == 6


def test_progress_is_told_with_loss_and_speed(tmp_path: Path) -> None:
    told: list[str] = []
    places = make_places(tmp_path, description())
    places.folder.mkdir()
    open_run(read_description(places.description), places, told.append).go(told.append)
    assert told[0].startswith("94 documents to train on, 2 held out; left out: 0 repeated")
    assert any(line.startswith("step 20, epoch ") and line.endswith(" tokens/s") for line in told)
    assert any("step 30: held out " in line for line in told)


def test_the_curve_is_an_svg_with_both_losses(trained: tuple[Run, Places]) -> None:
    _, places = trained
    root = ElementTree.fromstring((places.folder / "loss.svg").read_text(encoding="utf-8"))
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2


@pytest.mark.parametrize("model", [LLAMA, NEOX], ids=["llama", "gpt_neox"])
def test_an_exported_file_computes_what_the_run_computes(tmp_path: Path, model: str) -> None:
    places = make_places(tmp_path, description(model=model))
    run = gone(places)
    f32, *_ = export(run, places)
    engine, tokenizer = open_engine(f32.path)
    ids = tokenizer.encode(documents()[0])
    best = checkpoint.read(places.folder / checkpoint.BEST)
    expected = network.logits(best.config, best.weights, network.turns(best.config, torch.device("cpu")),
                              torch.tensor([ids]))[0]
    assert engine.config.family is (Family.LLAMA if model == LLAMA else Family.GPT_NEOX)
    assert np.abs(np.stack(list(logit_rows(engine, ids))) - expected.numpy()).max() < 1e-4


def test_bits_per_byte_are_those_of_the_engine(trained: tuple[Run, Places]) -> None:
    run, places = trained
    held_out = [document for document in documents() if is_held_out(document)]
    for made in export(run, places):
        assert made.score.bits_per_byte == pytest.approx(bits_per_byte(made.path, held_out), rel=2e-3)


def test_an_exported_file_says_how_it_was_made(trained: tuple[Run, Places]) -> None:
    run, places = trained
    made = {made.path.name: made for made in export(run, places)}
    assert made.keys() == {"tiny-f32.slm", "tiny-q8_0.slm", "tiny-q4_0.slm"}
    exported = made["tiny-q4_0.slm"]
    model = parse(exported.path.read_bytes())
    assert model.config.quantization is DType.Q4_0
    stated = [f'{key} = "{model.metadata[key]}"' for key in ("name", "description", "licence", "source")]
    assert stated == CARD.splitlines()
    figures = model.metadata["training"]
    assert isinstance(figures, dict)
    assert (figures["steps"], figures["seed"], figures["train_documents"]) == (run.progress.best[0], 5, 94)
    assert figures["held_out_bits_per_byte_millionths"] == round(1e6 * exported.score.bits_per_byte)
    assert model.metadata["source_sha256"].keys() == {"run_toml", "texts_txt"}


def test_training_through_the_rounding_loses_less_by_it(tmp_path: Path) -> None:
    plain = make_places(tmp_path, description(), "plain")
    gone(plain)
    aware = make_places(tmp_path, description(
        model="", training=TRAINING + 'quantisation = "q4_0"\n', schedule=SCHEDULE), "aware", plain.folder)
    run = gone(aware)
    before, after = (list(export(opened(places), places))[2].score.bits_per_byte for places in (plain, aware))
    assert run.progress.held_out[0][1] == pytest.approx(before, rel=1e-5)
    assert after < before


@pytest.mark.parametrize("kind", ["run", "slm", "folder"])
def test_a_run_starts_from_another_model(trained: tuple[Run, Places], tmp_path: Path, kind: str) -> None:
    from tinypylm_tools.exporters.hugging_face import export_folder
    from tinypylm_tools.model_file import open_model

    run, places = trained
    f32 = next(iter(export(run, places))).path
    if kind == "folder":
        export_folder(open_model(f32), tmp_path / "folder")
    parent = {"run": places.folder, "slm": f32, "folder": tmp_path / "folder"}[kind]
    child = opened(make_places(tmp_path, description(model=""), "child", parent))
    best = checkpoint.read(places.folder / checkpoint.BEST)
    assert all(child.weights[key].equal(best.weights[key]) for key in best.weights)
    assert json.loads(child.tokenizer)["model"]["vocab"] == json.loads(run.tokenizer)["model"]["vocab"]
    assert child.held_out.score(child.config, child.weights, child.on).bits_per_byte == run.progress.best[1]
    assert list(child.parent) == {"run": ["best_pt"], "slm": ["tiny_f32_slm"],
                                  "folder": ["config_json", "tokenizer_json", "model_safetensors"]}[kind]


@pytest.mark.parametrize(("model", "parent"), [("", None), (LLAMA, "anything")])
def test_a_run_has_exactly_one_beginning(tmp_path: Path, model: str, parent: str | None) -> None:
    with pytest.raises(ToolError, match="Give one of them") as caught:
        opened(make_places(tmp_path, description(model=model), parent=parent and tmp_path / parent))
    assert caught.value.code is ErrorCode.UNUSABLE_RUN


def test_a_run_goes_on_only_with_the_parent_that_it_began_with(trained: tuple[Run, Places], tmp_path: Path) -> None:
    run, places = trained
    parents = [made.path for made in export(run, places)]
    text = description(model="", schedule="steps = 1\n")
    gone(make_places(tmp_path, text, "child", parents[0]))
    gone(make_places(tmp_path, text, "child", None))
    with pytest.raises(ToolError) as caught:
        opened(make_places(tmp_path, text, "child", parents[1]))
    assert caught.value.code is ErrorCode.RUN_MISMATCH
    assert caught.value.detail["field"] == "parent"
