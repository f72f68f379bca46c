"""`tinypylm breed` and `breed run` as a person meets them, and what no environment may change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from hashlib import sha256
from math import prod
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.breeding.families import LLAMA, related, relative
from tinypylm.canonical import JsonObject
from tinypylm.config import DType, expected_tensors
from tinypylm.provenance import RecordKind, load
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding import breed, replay
from tinypylm_tools.breeding.parameters import KEYS, flag
from tinypylm_tools.cli import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("base", "one", "two")):
        (tmp_path / f"{name}.slm").write_bytes(related("llama", DType.Q8_0, number))
    return tmp_path


def models(folder: Path) -> list[str | Path]:
    return ["--base", folder / "base.slm", "--parent", folder / "one.slm", "--parent", folder / "two.slm"]


def test_a_child_and_its_receipt_are_those_of_the_function(folder: Path) -> None:
    child, receipt = folder / "child.slm", folder / "receipt.json"
    result = run("breed", "dare", *models(folder), "--weight-ppm", "600000", "--weight-ppm", "-200000", "--keep-ppm",
                 "400000", "--seed", "9", "--out", child, "--receipt", receipt)
    assert result.exit_code == 0, result.output
    parents = [(folder / f"{name}.slm").read_bytes() for name in ("one", "two")]
    expected = breed("dare", {"weights_ppm": [600_000, -200_000], "keep_ppm": 400_000, "seed": "9"}, parents,
                     base=(folder / "base.slm").read_bytes())
    assert child.read_bytes() == expected.child
    assert load(receipt.read_bytes(), RecordKind.RECEIPT) == expected.receipt
    assert result.stdout == (
        f"{child}: {len(expected.child):,} bytes, dare, sha256 {sha256(expected.child).hexdigest()}\n")


def test_evidence_is_three_records_from_which_the_child_is_made_again(folder: Path) -> None:
    result = run("breed", "crossover", *models(folder)[2:], "--out", folder / "child.slm", "--evidence",
                 folder / "evidence" / "child", "--name", "Half and half", "--json")
    assert result.exit_code == 0, result.output
    records = {path.stem: load(path.read_bytes(), RecordKind(path.stem))
               for path in (folder / "evidence" / "child").iterdir()}
    assert set(records) == {"compatibility", "lineage", "receipt"}
    data = [path.read_bytes() for path in folder.glob("*.slm") if path.stem != "child"]
    assert replay(records["receipt"], data) == (folder / "child.slm").read_bytes()
    summary = json.loads(result.stdout)
    assert summary["parameters"] == {"name": "Half and half", "seed": "0", "unit": "row"}
    assert summary["sha256"] == sha256((folder / "child.slm").read_bytes()).hexdigest()


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_has_the_same_options(operator: str) -> None:
    result = run("breed", operator, "--help")
    assert result.exit_code == 0
    for option in ("--base", "--parent", *map(flag, KEYS), "--out", "--receipt", "--evidence"):
        assert f"\n  {option} " in result.output


def test_an_option_that_the_operator_does_not_use_is_refused_by_name(folder: Path) -> None:
    result = run("breed", "task-delta", *models(folder), "--unit", "row", "--out", folder / "child.slm")
    assert result.exit_code == 1
    assert "task-delta does not use --unit (unit); leave it out. It takes --weight-ppm." in result.output
    assert "[UnusableChoice]" in result.output
    assert not (folder / "child.slm").exists()


RECIPE = """
operator = "dare"
name = "Half remembered"
keep_ppm = 500000
seed = 7
base = {{ path = "base.slm", sha256 = "{base}" }}
[[parent]]
path = "one.slm"
sha256 = "{one}"
weight_ppm = 700000
[[parent]]
path = "two.slm"
sha256 = "{two}"
weight_ppm = 300000
"""


@pytest.fixture
def recipe(folder: Path) -> Path:
    digests = {name: sha256((folder / f"{name}.slm").read_bytes()).hexdigest() for name in ("base", "one", "two")}
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(**digests))
    return path


def test_a_recipe_gives_what_the_command_gives(folder: Path, recipe: Path) -> None:
    one, other = folder / "a.slm", folder / "b.slm"
    assert run("breed", "run", recipe, "--out", one).exit_code == 0
    assert run("breed", "dare", *models(folder), "--weight-ppm", "700000", "--weight-ppm", "300000", "--keep-ppm",
               "500000", "--seed", "7", "--name", "Half remembered", "--out", other).exit_code == 0
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(("old", "new", "message"), [
    ("keep_ppm", "kept_ppm", "the recipe has the key 'kept_ppm'; did you mean keep_ppm?"),
    ("weight_ppm = 3", "wieght_ppm = 3", "parent 2 has the key 'wieght_ppm'; did you mean weight_ppm?"),
    ("weight_ppm = 700000", "", "parent 1 lacks weight_ppm, which other parents have"),
    ('operator = "dare"', "", "the recipe lacks operator; expected a string"),
    ('operator = "dare"', "operator = 3", "the recipe has 3 as operator; expected a string"),
    ('path = "two.slm"', "", "parent 2 lacks path"),
    ("seed = 7", "seed = 7.5", "the recipe has 7.5 as seed; expected an integer or a string"),
    ("seed = 7", "seed =", "recipe.toml is not TOML"),
    ('sha256 = "', 'sha256 = "x', "as sha256; expected 64 lower-case hexadecimal digits"),
    ("[[parent]]", "[parent]", "not TOML"),
])
def test_a_recipe_with_a_slip_is_refused_with_what_to_write(
    folder: Path, recipe: Path, old: str, new: str, message: str
) -> None:
    recipe.write_text(recipe.read_text().replace(old, new))
    result = run("breed", "run", recipe, "--out", folder / "child.slm")
    assert result.exit_code == 1
    assert message in result.output
    assert "[UnusableRecipe]" in result.output


def test_a_recipe_names_its_models_by_digest_too(folder: Path, recipe: Path) -> None:
    (folder / "two.slm").write_bytes(related("llama", DType.Q8_0, 3))
    result = run("breed", "run", recipe, "--out", folder / "child.slm")
    assert result.exit_code == 1
    assert "two.slm has the SHA-256" in result.output
    assert "[DigestMismatch]" in result.output


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("breed", "run", tmp_path / "none.toml", "--out", tmp_path / "child.slm")
    assert "none.toml cannot be read" in result.output
    assert "[MissingFile]" in result.output


CHILDREN = """
from hashlib import sha256
from tests.breeding.test_children import child_of
from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.config import DType
from tinypylm.provenance.operators import OPERATORS
for operator in OPERATORS:
    bred = child_of(operator, "llama", DType.Q4_0)
    print(operator, sha256(bred.child + canonical.dumps(bred.receipt)).hexdigest())
"""


def test_children_and_receipts_are_the_same_under_any_hash_seed_and_number_of_threads(repo_root: Path) -> None:
    outputs = set()
    for seed, threads in (("0", "1"), ("12345", "8")):
        environment = os.environ | {
            "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": os.pathsep.join(str(repo_root / part) for part in ("", "runtime", "tools"))}
        outputs.add(subprocess.run([sys.executable, "-c", CHILDREN], cwd=repo_root, env=environment, check=True,
                                   capture_output=True, text=True).stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == len(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_breeding_takes_memory_for_one_tensor_of_each_parent_and_three_more(operator: str) -> None:
    """In f64, beside the files; the embeddings are by far the largest tensor."""
    config = replace(LLAMA, quantization=DType.Q4_0, vocab_size=65_536)
    table = OPERATORS[operator]
    base, *parents = (relative(config, number) for number in range(1 + min(table.most, 2)))
    largest = 8 * max(prod(spec.shape) for spec in expected_tensors(config))
    given: JsonObject = {"keep_ppm": 300_000} if table.keep else {}
    tracemalloc.start()
    breed(operator, given, parents, base=base if table.base else None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= (len(parents) + 3) * largest + 2 * len(base)
