"""`tinypylm generate --receipt` and `tinypylm replay`: what they print, and their exit status for each outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.replay.runs import FIXTURES, MODELS, stack
from tinypylm import canonical
from tinypylm_tools.cli import main

MODEL = FIXTURES / f"{MODELS['q4_0']}.slm"
OPTIONS = ["--prompt", "The cat", "--seed", "7", "--max-tokens", "20"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    path = tmp_path / "receipt.json"
    assert run("generate", MODEL, *OPTIONS, "--receipt", path).exit_code == 0
    return path


@pytest.fixture
def packages(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{index}.adapter" for index in range(2)]
    for path, (data, _) in zip(paths, stack("q4_0"), strict=True):
        path.write_bytes(data)
    return paths


def alter(receipt: Path, **changes: Any) -> None:
    receipt.write_bytes(canonical.dumps(json.loads(receipt.read_bytes()) | changes))


def test_a_receipt_costs_no_letter_of_the_text_and_replays(receipt: Path):
    told = run("generate", MODEL, *OPTIONS, "--receipt", receipt).stdout
    assert told == run("generate", MODEL, *OPTIONS).stdout
    replayed = run("replay", receipt, "--model", MODEL)
    assert (replayed.exit_code, replayed.stdout) == (0, "The same 20 tokens, all digests of logits equal.\n")


def test_a_receipt_has_what_json_has(receipt: Path):
    told = json.loads(run("generate", MODEL, *OPTIONS, "--json", "--receipt", receipt).stdout)
    held = json.loads(receipt.read_bytes())
    for key in ("model_sha256", "kv_cache", "prompt_ids", "ids", "finish_reason"):
        assert held[key] == told[key]


def test_adapters_and_cache_come_back_with_the_receipts_scales(tmp_path: Path, packages: list[Path]):
    receipt, (first, second) = tmp_path / "receipt.json", packages
    made = run("generate", MODEL, *OPTIONS, "--kv-cache", "f16", "--adapter", f"{first}:2", "--adapter", second,
               "--receipt", receipt)
    assert made.exit_code == 0
    replayed = run("replay", receipt, "--model", MODEL, "--adapter", first, "--adapter", second, "--json")
    assert replayed.exit_code == 0
    assert json.loads(replayed.stdout) == {
        "outcome": "same", "tokens": 20, "compared_tokens": 20, "same_runtime": True,
        "message": "The same 20 tokens, all digests of logits equal."}
    for wrong in ([second, first], [first], [], [first, second, second]):
        refused = run("replay", receipt, "--model", MODEL, *(part for path in wrong for part in ("--adapter", path)))
        assert refused.exit_code == 1
        assert refused.stderr.endswith("[ReceiptAdapterMismatch]\n")


def test_runs_that_part_have_an_exit_status_and_the_token(receipt: Path):
    ids = json.loads(receipt.read_bytes())["ids"]
    alter(receipt, ids=[*ids[:11], ids[11] ^ 1, *ids[12:]])
    parted = run("replay", receipt, "--model", MODEL)
    assert parted.exit_code == 3
    assert parted.stdout.startswith("The runs part at token 11 of 20: id ")
    told = json.loads(run("replay", receipt, "--model", MODEL, "--json").stdout)
    assert (told["outcome"], told["token"], told["what"]) == ("parted", 11, "id")


def test_another_runtime_is_said_and_has_an_exit_status_only_where_runs_part(receipt: Path):
    alter(receipt, runtime_sha256="0" * 64)
    same = run("replay", receipt, "--model", MODEL)
    assert (same.exit_code, "another runtime" in same.stdout) == (0, True)
    alter(receipt, finish_reason="context")
    parted = run("replay", receipt, "--model", MODEL)
    assert (parted.exit_code, "another runtime" in parted.stdout) == (4, True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"model_sha256": "0" * 64}, "ReceiptModelMismatch"), ({"surplus": 1}, "RecordUnknownKey"),
     ({"version": 2}, "RecordVersion"), ({"kind": "receipt"}, "RecordKind"),
     ({"prompt_ids": [9999]}, "TokenOutOfRange")],
)
def test_what_cannot_be_replayed_is_an_error_with_its_code(receipt: Path, changes: dict[str, Any], code: str):
    alter(receipt, **changes)
    refused = run("replay", receipt, "--model", MODEL)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith(f"[{code}]\n")


def test_missing_files_are_errors_with_their_code(receipt: Path, tmp_path: Path):
    gone = tmp_path / "gone"
    for refused in (run("replay", gone, "--model", MODEL), run("replay", receipt, "--model", gone),
                    run("replay", receipt, "--model", MODEL, "--adapter", gone)):
        assert (refused.exit_code, "[MissingFile]" in refused.stderr) == (1, True)
    refused = run("generate", MODEL, *OPTIONS, "--receipt", gone / "receipt.json")
    assert (refused.exit_code, "[UnwritableFile]" in refused.stderr) == (1, True)
