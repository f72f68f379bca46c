"""A run with a teacher: its loss, whose tokens are whose, and what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")
pytest.importorskip("gguf", reason="the package gguf, an oracle of these tests, is not installed")

from numpy.typing import NDArray

from tests.tools.training.tiny import LLAMA, TRAINING, description, documents, invoke, make_places, train
from tinypylm.format import parse
from tinypylm_tools.training import checkpoint, network, teaching
from tinypylm_tools.training.batches import NO_TARGET
from tinypylm_tools.training.description import Teaching
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.start import from_model, vocabulary_of
from tinypylm_tools.training.tokens import Encoder

_TEACHING = "[teaching]\nshare = 1.0\ntemperature = 2.0\n"


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with teacher.gguf, and student.slm: its first layer, with a part of its tokens."""
    folder = tmp_path_factory.mktemp("school")
    places = make_places(folder, description(LLAMA.replace("300", "340")), "teacher")
    assert train(places).exit_code == 0
    whole, gguf = places.folder / "tiny-f32.slm", folder / "teacher.gguf"
    assert invoke("export", whole, "--to", "gguf", gguf).exit_code == 0
    (folder / "few.txt").write_text("\n".join(documents()[:20]), encoding="utf-8")
    packed = invoke("pack", gguf, folder / "student.slm", "--type", "f32", "--prune-vocab", folder / "few.txt",
                    "--drop-layers", "1")
    assert packed.exit_code == 0, packed.output
    return folder


def taught(school: Path, run: str, *, model: str = "", schedule: str = "steps = 30\nwarmup_steps = 4\n") -> Places:
    training = TRAINING.replace("dropout = 0.1\n", "")
    text = description(model, training, schedule, 'export = ["f32"]\n')
    return make_places(school, text + _TEACHING, run)


def test_the_loss_is_that_of_the_paper() -> None:
    """In f64, written as the formula stands there."""
    random = np.random.default_rng(3)
    found, told = random.normal(size=(2, 4, 7)), random.normal(size=(2, 4, 7))
    targets = np.array([[1, 6, 0, NO_TARGET], [2, NO_TARGET, 3, 3]])
    share, temperature, expected = 0.3, 2.0, 0.0
    for place in zip(*np.nonzero(targets != NO_TARGET), strict=True):
        target = int(targets[place])
        student, teacher = (softmax(logits[place] / temperature) for logits in (found, told))
        apart = np.sum(teacher * np.log(teacher / student))
        expected += (1 - share) * -np.log(softmax(found[place])[target]) + share * temperature**2 * apart
    taught = teaching.softened(torch.tensor(told), temperature)
    loss = teaching.loss(torch.tensor(found), taught, torch.tensor(targets), Teaching(share, temperature))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_a_student_s_token_is_the_teacher_s_with_the_same_text(school: Path) -> None:
    teacher, student = from_model(school / "teacher.gguf"), from_model(school / "student.slm")
    ours, theirs = (vocabulary_of(start.tokenizer, start.config.vocab_size) for start in (student, teacher))
    ids = teaching.ids_in(ours, theirs)
    assert len(ours.tokens) < len(theirs.tokens)
    assert [theirs.tokens[token] for token in ids] == list(ours.tokens)
    assert ids[student.config.eos_id] == teacher.config.eos_id
    turn, weights = network.turns(teacher.config, torch.device("cpu")), teacher.make_weights()
    master = teaching.Teacher(teacher.config, weights, turn, ids)
    read = torch.tensor([[0, 9, 30, 7]])
    expected = network.logits(teacher.config, weights, turn, ids[read])[..., ids]
    torch.testing.assert_close(master.logits(read), expected, rtol=0, atol=0)


def distance(school: Path, model: Path) -> float:
    """KL(teacher || student) in nats per token of a document that the run has seen, by the two networks alone."""
    teacher, student = from_model(school / "teacher.gguf"), from_model(model)
    ours, theirs = (vocabulary_of(start.tokenizer, start.config.vocab_size) for start in (student, teacher))
    ids = teaching.ids_in(ours, theirs)
    (document,) = Encoder(ours, student.config).encode(documents()[:1])
    read = torch.tensor(document[None].astype(np.int64))
    told, found = (
        network.logits(start.config, start.make_weights(), network.turns(start.config, torch.device("cpu")), tokens)
        for start, tokens in ((teacher, ids[read]), (student, read)))
    teacher_log, student_log = torch.log_softmax(told[..., ids], -1), torch.log_softmax(found, -1)
    return float((teacher_log.exp() * (teacher_log - student_log)).sum(-1).mean())


def test_a_taught_student_comes_near_its_teacher_and_its_file_names_it(school: Path) -> None:
    places = taught(school, "taught")
    result = train(places, "--from", school / "student.slm", "--teacher", school / "teacher.gguf")
    assert result.exit_code == 0, result.output
    made = places.folder / "tiny-f32.slm"
    assert distance(school, made) < 0.5 * distance(school, school / "student.slm")
    metadata = parse(made.read_bytes()).metadata
    assert {"student_slm", "teacher_1_teacher_gguf"} <= metadata["source_sha256"].keys()  # type: ignore[union-attr]
    assert metadata["training"]["teaching_share_millionths"] == 1_000_000  # type: ignore[index,call-overload]
    assert metadata["training"]["teaching_temperature_millionths"] == 2_000_000  # type: ignore[index,call-overload]


def test_parent_and_teacher_are_both_named_where_their_files_have_one_name(school: Path) -> None:
    teacher = school / "masters" / "student.slm"
    teacher.parent.mkdir()
    teacher.write_bytes((school / "teacher" / "tiny-f32.slm").read_bytes())
    places = taught(school, "namesakes", schedule="steps = 1\n")
    assert train(places, "--from", school / "student.slm", "--teacher", teacher).exit_code == 0
    digests = parse((places.folder / "tiny-f32.slm").read_bytes()).metadata["source_sha256"]
    expected = {"student_slm": school / "student.slm", "teacher_1_student_slm": teacher}
    for name, path in expected.items():
        assert digests[name] == hashlib.sha256(path.read_bytes()).hexdigest()  # type: ignore[index,call-overload]


def test_a_taught_run_goes_on_as_if_it_had_not_been_ended(school: Path) -> None:
    models = "--from", school / "student.slm", "--teacher", school / "teacher.gguf"
    level = 'kind = "wsd"\nwarmup_steps = 2\nsteps = '
    assert train(taught(school, "whole", schedule=level + "6\n"), *models).exit_code == 0
    assert train(taught(school, "parted", schedule=level + "3\n"), *models).exit_code == 0
    again = train(taught(school, "parted", schedule=level + "6\n"), *models)
    assert "Going on behind step 3" in again.output
    whole, parted = (checkpoint.read(school / run / checkpoint.CHECKPOINT).progress for run in ("whole", "parted"))
    assert len(whole.window) == 6
    assert parted.window == whole.window


def test_a_model_from_nothing_takes_the_teacher_s_tokenizer(school: Path) -> None:
    wrong = taught(school, "wrong", model=LLAMA.replace("300", "5000"))
    refused = train(wrong, "--teacher", school / "teacher.gguf")
    assert "[UnusableRun]" in refused.stderr
    needed = refused.stderr.split("expected ")[1].split(",")[0]
    places = taught(school, "nothing", model=LLAMA.replace("300", needed))
    result = train(places, "--teacher", school / "teacher.gguf")
    assert result.exit_code == 0, result.output
    theirs = from_model(school / "teacher.gguf")
    tokens = vocabulary_of(theirs.tokenizer, theirs.config.vocab_size).tokens
    assert set(parse((places.folder / "tiny-f32.slm").read_bytes()).tokenizer.tokens) <= set(tokens)


def test_another_teacher_on_the_way_is_refused(school: Path) -> None:
    places = taught(school, "way", schedule="steps = 2\n")
    assert train(places, "--from", school / "student.slm", "--teacher", school / "teacher.gguf").exit_code == 0
    other = train(places, "--from", school / "student.slm", "--teacher", school / "teacher" / "tiny-f32.slm")
    assert "[RunMismatch]" in other.stderr
    assert "its teachers is" in other.stderr


def test_a_teacher_and_its_section_come_together(school: Path) -> None:
    alone = train(taught(school, "alone"), "--from", school / "student.slm")
    assert "[UnusableRun]" in alone.stderr
    assert "found only [teaching]" in alone.stderr
    untold = make_places(school, description(""), "untold")
    refused = train(untold, "--from", school / "student.slm", "--teacher", school / "teacher.gguf")
    assert "found only --teacher" in refused.stderr


def test_a_teacher_of_other_tokens_is_refused(school: Path) -> None:
    other = make_places(school, description(LLAMA.replace("300", "290"), schedule="steps = 1\n"), "other")
    assert train(other).exit_code == 0
    refused = train(taught(school, "foreign"), "--from", school / "student.slm", "--teacher",
                    other.folder / "tiny-f32.slm")
    assert "none of the teacher's" in refused.stderr


def test_a_teacher_of_a_shorter_context_is_refused(school: Path) -> None:
    short = school / "short.slm"
    assert invoke("pack", school / "teacher.gguf", short, "--type", "f32", "--context-length", "32").exit_code == 0
    refused = train(taught(school, "short"), "--from", school / "student.slm", "--teacher", short)
    assert "the teacher reads 32 tokens, the student 48" in refused.stderr


def test_a_share_of_more_than_all_is_refused(school: Path) -> None:
    places = taught(school, "share")
    places = replace(places, description=school / "share.toml")
    places.description.write_text(places.description.read_text().replace("share = 1.0", "share = 1.5"))
    refused = train(places, "--from", school / "student.slm", "--teacher", school / "teacher.gguf")
    assert "expected a number of at most 1" in refused.stderr
