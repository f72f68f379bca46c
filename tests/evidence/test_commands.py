"""The commands of the chain, as a person or a script meets them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.evidence.workplace import flipped
from tinypylm_tools.cli import main
from tinypylm_tools.evidence.folder import Folder

COMMANDS = ("candidate", "eval", "promote", "admit", "ledger", "verify", "registry", "report")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def fresh(folder: Folder, tmp_path: Path) -> Path:
    """A model that nobody has written anything about, with small suites beside it."""
    (tmp_path / "fresh").mkdir()
    shutil.copytree(folder.root / "evaluation", tmp_path / "fresh" / "evaluation")
    shutil.copy(folder.root / "tiny.slm", tmp_path / "fresh" / "mine.slm")
    return tmp_path / "fresh" / "mine.slm"


def test_each_step_is_a_command_and_the_last_one_shows_every_step(fresh: Path) -> None:
    assert run("verify", fresh).stdout.endswith("no evidence: the file stands by itself\n")
    for command in ("candidate", "eval", "promote", "admit"):
        result = run(command, fresh)
        assert result.exit_code == 0, result.stderr
    result = run("verify", fresh)
    assert result.exit_code == 0
    assert len(re.findall("^  ok  ", result.stdout, re.MULTILINE)) == 13
    assert result.stdout.endswith("13 steps hold\n")
    kinds = [line.split()[2] for line in run("ledger", "show", fresh.parent).stdout.splitlines()]
    assert kinds == ["candidate", "evaluation", "promotion", "admission"]


def test_admit_does_the_steps_that_are_missing(fresh: Path) -> None:
    result = run("admit", fresh)
    assert (result.exit_code, result.stderr) == (0, "mine: candidate\nmine: evaluation\nmine: promotion\n")
    assert run("admit", fresh).stderr == ""
    assert run("admit", fresh, "--again").stderr == "mine: evaluation\nmine: promotion\n"


def test_a_folder_stands_for_what_its_registry_offers(fresh: Path) -> None:
    assert "[NoEvidence]" in run("admit", fresh.parent).stderr
    assert run("admit", fresh).exit_code == 0
    result = run("admit", fresh.parent)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("mine: admitted, no parent")


def test_a_name_is_for_one_model(fresh: Path) -> None:
    for models in ([fresh, fresh], [fresh.parent]):
        result = run("admit", *models, "--name", "other")
        assert (result.exit_code, "--name is for one model" in result.stderr) == (2, True)


def test_a_model_that_changed_since_it_was_evaluated_is_evaluated_again(fresh: Path, folder: Folder) -> None:
    assert run("admit", fresh).exit_code == 0
    shutil.copy(folder.root / "other.slm", fresh)
    assert run("verify", fresh).exit_code == 1
    assert run("admit", fresh).stderr.count("\n") == 3
    assert run("verify", fresh).exit_code == 0


def test_verify_names_the_step_that_failed_and_exits_with_1(folder: Folder) -> None:
    path = folder.path("promotion", "other")
    path.write_bytes(flipped(path.read_bytes(), 50))
    result = run("verify", folder.root / "other.slm")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: promotion: evidence/other/promotion.json has the SHA-256")
    assert result.stderr.endswith("[ResponseDigest]\n")
    answer = json.loads(run("verify", folder.root / "other.slm", "--json").stdout)
    assert (answer["ok"], answer["code"], answer["steps"][-1]["step"]) == (False, "ResponseDigest", "evaluation")
    assert run("verify", folder.root / "other.slm", "--file-only").exit_code == 0


def test_verify_can_be_told_to_want_evidence(fresh: Path, folder: Folder) -> None:
    assert "[NoEvidence]" in run("verify", fresh, "--evidence").stderr
    result = run("verify", folder.root / "tiny.slm", "--evidence", "--name", "tiny", "--replay")
    assert result.exit_code == 0
    assert "nothing to rebuild" in result.stdout


def test_verify_puts_what_drifted_into_quarantine_only_when_it_is_told_to(folder: Folder) -> None:
    path = folder.path("promotion", "other")
    path.write_bytes(flipped(path.read_bytes(), 50))
    run("verify", folder.root / "other.slm")
    assert path.exists()
    result = run("verify", folder.root / "other.slm", "--quarantine")
    assert result.exit_code == 1
    assert "Moved aside to" in result.stderr
    assert not path.exists()
    assert "other (in quarantine): 85,824 bytes; runtime-smoke; no parent" in run("registry", folder.root).stdout
    assert "[EntryDisabled]" in run("verify", folder.root / "other.slm", "--quarantine").stderr


def test_eval_can_look_without_writing(fresh: Path) -> None:
    before = sorted(fresh.parent.rglob("*"))
    result = run("eval", fresh, "--dry-run", "--suite", fresh.parent / "evaluation" / "smoke.toml")
    assert result.stdout == "smoke: 2 of 2 passed (95 %: 34.2 to 100.0 %)\nsupports: runtime-smoke\n"
    body = json.loads(run("eval", fresh, "--dry-run", "--json").stdout)
    assert [text["name"] for text in body["texts"]] == ["story"]
    assert sorted(fresh.parent.rglob("*")) == before


@pytest.mark.parametrize("command", ["eval", "promote"])
def test_a_step_without_the_one_before_says_what_is_missing(fresh: Path, command: str) -> None:
    result = run(command, fresh)
    assert (result.exit_code, result.stderr[-13:]) == (1, "[NoEvidence]\n")
    assert "manifest.json is missing" in result.stderr


def test_a_name_that_cannot_be_an_id_is_refused(fresh: Path) -> None:
    assert "[UnusableName]" in run("candidate", fresh, "--name", "../x").stderr
    fresh.rename(fresh.with_name("two words.slm"))
    assert "[UnusableName]" in run("admit", fresh.with_name("two words.slm")).stderr


def test_candidates_and_the_sets_that_chose_them_are_counted(fresh: Path) -> None:
    suite = fresh.parent / "evaluation" / "smoke.toml"
    assert run("candidate", fresh, "--tried", 40, "--selected-by", suite, "--label", "Mine").exit_code == 0
    body = Folder(fresh.parent).load("candidate", "mine")
    assert (body["candidates_tried"], len(body["selection_sets"])) == (40, 1)  # type: ignore[arg-type]
    assert "[EvaluationRejected]" in run("eval", fresh).stderr


def test_the_ledger_is_checked_extended_repaired_and_signed(folder: Folder, tmp_path: Path) -> None:
    assert run("ledger", "verify", folder.root).stdout.startswith("12 lines")
    assert run("ledger", "append", folder.root, "--kind", "candidate", "--name", "x", "--body", "0" * 64).exit_code == 0
    for kind, body in (("admission", "0" * 64), ("candidate", "zz")):
        result = run("ledger", "append", folder.root, "--kind", kind, "--name", "x", "--body", body)
        assert "[UnusableChoice]" in result.stderr
    with folder.ledger.open("ab") as file:
        file.write(b"{")
    assert "[LedgerTorn]" in run("ledger", "verify", folder.root).stderr
    assert run("ledger", "repair", folder.root).stdout == "1 bytes of a torn line cut off, 0 lines accepted\n"
    public = run("ledger", "key", tmp_path / "key").stdout.strip()
    assert run("ledger", "sign", folder.root, "--key", tmp_path / "key").stdout.strip() == public
    assert f"signed by {public}" in run("ledger", "verify", folder.root, "--public-key", public).stdout
    assert "[SignatureRejected]" in run("ledger", "verify", folder.root, "--public-key", "0" * 64).stderr


def test_registry_names_the_files_that_are_not_offered(folder: Folder) -> None:
    shutil.copy(folder.root / "tiny.slm", folder.root / "extra.slm")
    output = run("registry", folder.root).stdout
    assert "stacked: 46,784 bytes, 2 adapters; runtime-smoke; not shown\n" in output
    assert f"not offered: {folder.root / 'extra.slm'}; `tinypylm admit" in output
    assert [entry["id"] for entry in json.loads(run("registry", folder.root, "--json").stdout)] == [
        "other", "stacked", "tiny"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str, repo_root: Path) -> None:
    text = (repo_root / "docs" / "provenance.md").read_text("utf-8")
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert f"`tinypylm {name}" in text
    for part in (command, *getattr(command, "commands", {}).values()):
        for parameter in part.params:
            for option in parameter.opts:
                assert not option.startswith("--") or re.search(rf"`{option}\b", text), option
