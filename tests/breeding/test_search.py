"""A search: the same population however it is run or interrupted, and a reported text that selects nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.breeding.families import related
from tests.little_room import little_room
from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance import RecordKind, load
from tinypylm.provenance.operators import OPERATORS
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.breeding import breed, replay
from tinypylm_tools.breeding.parameters import read_parameters
from tinypylm_tools.breeding.search.engines import score
from tinypylm_tools.breeding.search.evolution import Scored, generation, ranking
from tinypylm_tools.breeding.search.genome import Dice, Genome, fresh, mixed, mutated
from tinypylm_tools.breeding.search.population import Population
from tinypylm_tools.breeding.search.run import LEDGER
from tinypylm_tools.breeding.search.settings import Settings, read_settings
from tinypylm_tools.cli import main
from tinypylm_tools.evaluation.suites import HeldOut

OPERATORS_OF_TWO = [name for name, table in OPERATORS.items() if table.most > 1]
MODELS = ("base", "one", "two")
SELECTION, REPORTED = "A cat sat.\n\nThe dog ran home.\n", "Another text.\n"
SETTINGS = """seed = 3
population = 3
generations = 2
operators = ["dare", "sign-merge", "task-delta"]
base = {{ path = "base.slm", sha256 = "{base}" }}
selection = {{ path = "selection.txt", sha256 = "{selection}" }}
reported = {{ path = "reported.txt", sha256 = "{reported}" }}
[[parent]]
path = "one.slm"
sha256 = "{one}"
[[parent]]
path = "two.slm"
sha256 = "{two}"
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write_settings(folder: Path) -> Path:
    files = {f"{name}.slm": related("llama", DType.Q8_0, number) for number, name in enumerate(MODELS)}
    files |= {"selection.txt": SELECTION.encode(), "reported.txt": REPORTED.encode()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    digests = {name.partition(".")[0]: sha256(data).hexdigest() for name, data in files.items()}
    (folder / "search.toml").write_text(SETTINGS.format(**digests))
    return folder / "search.toml"


def test_a_search_that_finds_no_room_says_so_and_can_go_on(tmp_path: Path) -> None:
    settings, folder = write_settings(tmp_path), tmp_path / "out"
    with little_room(100):
        result = run("breed", "search", settings, "--out", folder)
    assert result.exit_code == 1
    assert "population.jsonl cannot be written" in result.stderr
    assert "[UnwritableFile]" in result.stderr
    assert Population(folder / LEDGER, read_settings(settings)).scored == []


def test_a_search_whose_folder_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run("breed", "search", write_settings(tmp_path), "--out", tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert "[UnwritableFile]" in result.stderr


NO_TEXT = HeldOut("", "", 0, ())


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that ran to its end."""
    folder = tmp_path_factory.mktemp("search")
    result = run("breed", "search", write_settings(folder), "--out", folder / "out")
    assert result.exit_code == 0, result.output
    return folder / "out"


def lines(folder: Path) -> list[JsonObject]:
    return [fields(canonical.loads(line)) for line in (folder / "population.jsonl").read_bytes().splitlines()]


def test_every_candidate_is_written_down_with_how_many_were_tried(finished: Path) -> None:
    head, *candidates, result = lines(finished)
    assert head["kind"] == "search"
    assert [line["tried"] for line in candidates] == [1, 2, 3, 4, 5, 6]
    assert [line["generation"] for line in candidates] == [0, 0, 0, 1, 1, 1]
    assert result["tried"] == 6
    assert [line["seq"] for line in lines(finished)] == list(range(8))


def test_each_line_names_the_digest_of_the_one_before(finished: Path) -> None:
    raw = (finished / "population.jsonl").read_bytes().splitlines()
    assert [fields(canonical.loads(line))["prev"] for line in raw] == [
        "0" * 64, *(sha256(line).hexdigest() for line in raw[:-1])]


def test_the_winner_is_the_best_by_the_selecting_text_and_comes_with_its_records(finished: Path) -> None:
    _, *candidates, result = lines(finished)
    scores = {line["seq"]: fields(line["outcome"]) for line in candidates}
    best = min(scores, key=lambda seq: (Fraction(str(scores[seq]["microbits"])) / int(str(scores[seq]["bytes"]))))
    child = (finished / "best.slm").read_bytes()
    assert result["best"] == best
    assert scores[best]["sha256"] == sha256(child).hexdigest()
    receipt = load((finished / "receipt.json").read_bytes(), RecordKind.RECEIPT)
    assert replay(receipt, [related("llama", DType.Q8_0, number) for number in range(3)]) == child


def test_the_reported_scores_are_those_of_the_other_text(finished: Path) -> None:
    reported = [fields(row) for row in items(lines(finished)[-1]["reported"])]
    assert [row["role"] for row in reported] == ["child", "base", "parent", "parent"]
    models = [(finished / "best.slm").read_bytes(), *(related("llama", DType.Q8_0, number) for number in range(3))]
    found = [(row["microbits"], row["bytes"]) for row in reported]
    assert found == [score(data, [REPORTED.strip()]) for data in models]


@pytest.mark.slow
def test_several_processes_give_the_same_population(finished: Path, settings: Path) -> None:
    result = run("breed", "search", settings, "--out", settings.parent / "out", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert (settings.parent / "out" / "population.jsonl").read_bytes() == (finished / "population.jsonl").read_bytes()


@pytest.mark.slow
def test_ray_gives_the_same_population(finished: Path, settings: Path, repo_root: Path) -> None:
    """In a process of its own: Ray takes the signals over by which wasmtime learns of traps."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra [search] is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = os.pathsep.join(str(repo_root / part) for part in ("runtime", "tools"))
    command = [sys.executable, "-c", "from tinypylm_tools.cli import main; main()", "breed", "search", str(settings),
               "--out", str(settings.parent / "out"), "--engine", "ray", "--jobs", "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for file in ("population.jsonl", "best.slm", "receipt.json"):
        assert (settings.parent / "out" / file).read_bytes() == (finished / file).read_bytes()


@pytest.mark.parametrize("size", [100, 1500, 2500])
def test_a_population_that_breaks_off_anywhere_is_brought_to_the_same_end(
    finished: Path, settings: Path, size: int
) -> None:
    whole, out = (finished / "population.jsonl").read_bytes(), settings.parent / "out"
    assert size < len(whole)
    out.mkdir()
    (out / "population.jsonl").write_bytes(whole[:size])
    assert run("breed", "search", settings, "--out", out).exit_code == 0
    assert (out / "population.jsonl").read_bytes() == whole


@pytest.mark.slow
def test_a_killed_search_goes_on(finished: Path, settings: Path, repo_root: Path) -> None:
    out = settings.parent / "out"
    path = os.pathsep.join(str(repo_root / part) for part in ("runtime", "tools"))
    command = [sys.executable, "-c", "from tinypylm_tools.cli import main; main()", "breed", "search", str(settings),
               "--out", str(out)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL) as process:
        while not (out / "population.jsonl").exists() or len((out / "population.jsonl").read_bytes()) < 700:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (out / "best.slm").exists()
    assert run("breed", "search", settings, "--out", out).exit_code == 0
    assert (out / "population.jsonl").read_bytes() == (finished / "population.jsonl").read_bytes()


def test_a_finished_search_is_told_again_without_trying_anything(finished: Path, settings: Path) -> None:
    out = shutil.copytree(finished, settings.parent / "out")
    result = run("breed", "search", settings, "--out", out, "--json")
    assert json.loads(result.stdout) == lines(finished)[-1]
    assert (out / "population.jsonl").read_bytes() == (finished / "population.jsonl").read_bytes()


@pytest.mark.parametrize(("old", "new", "message"), [
    (b'"generation":0', b'"generation":7', "line 2 of"),
    (b'"tried":2', b'"tried":1', "does not follow on the line before"),
    (b'"kind":"search-candidate"', b'"kind":"candidate"', "line 1 of"),
    (b'{"', b'{ "', "is no line of a population"),
])
def test_a_population_that_was_edited_is_refused(
    finished: Path, settings: Path, old: bytes, new: bytes, message: str
) -> None:
    out = settings.parent / "out"
    out.mkdir()
    whole = (finished / "population.jsonl").read_bytes()
    (out / "population.jsonl").write_bytes(whole.replace(old, new, 1))
    result = run("breed", "search", settings, "--out", out)
    assert result.exit_code == 1
    assert message in result.output
    assert "[PopulationMismatch]" in result.output


def test_a_folder_of_another_search_is_refused(finished: Path, settings: Path) -> None:
    out = shutil.copytree(finished, settings.parent / "out")
    settings.write_text(settings.read_text().replace("seed = 3", "seed = 4"))
    assert "written by a search with other settings" in run("breed", "search", settings, "--out", out).output


@pytest.mark.parametrize(("old", "new", "message"), [
    ("generations = 2", "generation = 2", "did you mean generations?"),
    ("population = 3", "population = 1", "has 1 as population; expected 2 to 1000"),
    ('["dare",', '["dair",', "there is no operator 'dair'; did you mean dare?"),
    ('["dare",', '["magnitude-prune",', "which takes 1 to 1 parents, and has 2"),
    ("base = ", "#", "dare, which needs a base"),
    ('path = "reported.txt"', 'path = "selection.txt"', "[DigestMismatch]"),
    ('path = "reported.txt"', 'path = "none.txt"', "[MissingFile]"),
])
def test_settings_with_a_slip_are_refused(settings: Path, old: str, new: str, message: str) -> None:
    settings.write_text(settings.read_text().replace(old, new))
    result = run("breed", "search", settings, "--out", settings.parent / "out")
    assert result.exit_code == 1
    assert message in result.output


def test_a_document_of_both_texts_is_refused(settings: Path) -> None:
    shared = REPORTED + "\nThe dog ran home.\n"
    (settings.parent / "reported.txt").write_text(shared)
    before, after = (sha256(text.encode()).hexdigest() for text in (REPORTED, shared))
    settings.write_text(settings.read_text().replace(before, after))
    result = run("breed", "search", settings, "--out", settings.parent / "out")
    assert "selects by 1 documents that it would also report ('The dog ran home.')" in result.output


def test_a_missing_ray_is_named(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run("breed", "search", settings, "--out", settings.parent / "out", "--engine", "ray")
    assert "pip install 'tinypylm[search]'" in result.output
    assert "[PackageMissing]" in result.output


@pytest.mark.parametrize("operator", OPERATORS_OF_TWO)
def test_whatever_is_drawn_mixed_or_mutated_can_be_bred(operator: str) -> None:
    for number in range(200):
        dice = Dice(1, number, 0)
        one, other = (fresh(dice, [operator], 2) for _ in range(2))
        for genome in (one, mixed(dice, one, other), mutated(dice, mutated(dice, one))):
            read_parameters(operator, genome.given, 2)


def test_dice_are_fair_enough_and_depend_on_each_of_their_numbers() -> None:
    dice = Dice(7, 0, 0)
    rolls = [dice.below(6) for _ in range(6_000)]
    assert all(900 < rolls.count(face) < 1_100 for face in range(6))
    assert len({tuple(Dice(*numbers).below(1_000) for _ in range(1)) for numbers in (
        (7, 0, 0), (8, 0, 0), (7, 1, 0), (7, 0, 1))}) == 4


def test_the_next_generation_depends_on_scores_and_not_on_when_they_came() -> None:
    settings = Settings(1, 4, 2, ("dare", "linear"), b"", (b"", b""), NO_TEXT, NO_TEXT)
    first = generation(settings, [])
    scored = [Scored(genome, Fraction(place + 1)) for place, genome in enumerate(first)]
    other = [Scored(genome, Fraction(9 - place)) for place, genome in enumerate(first)]
    assert generation(settings, scored) == generation(settings, scored)
    assert generation(settings, scored) != generation(settings, other)


def test_refused_candidates_are_never_ranked() -> None:
    genome = Genome("linear", {"weights_ppm": [1, 1]})
    scores = (None, Fraction(2), Fraction(1), Fraction(2))
    assert ranking([Scored(genome, score) for score in scores]) == [2, 1, 3]


def test_a_search_whose_candidates_are_all_clones_says_so(settings: Path) -> None:
    text = settings.read_text().replace("one.slm", "base.slm").replace("two.slm", "base.slm")
    digests = [sha256(related("llama", DType.Q8_0, number)).hexdigest() for number in range(3)]
    settings.write_text(text.replace(digests[1], digests[0]).replace(digests[2], digests[0]))
    result = run("breed", "search", settings, "--out", settings.parent / "out")
    assert "all 6 candidates were refused" in result.output
    with pytest.raises(ToolError) as refused:
        breed("linear", {}, [related("llama", DType.Q8_0, 0)] * 2)
    assert refused.value.code is ErrorCode.CLONED_CHILD
