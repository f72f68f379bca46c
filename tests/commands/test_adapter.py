"""`tinypylm adapter` and `tinypylm generate --adapter`, as a person or a script meets them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.engine.models import config, random_file
from tests.tools.adapters.test_peft import folder_for
from tinypylm.config import DType
from tinypylm.format import parse
from tinypylm_tools.cli import main
from tinypylm_tools.commands.adapter import command

SHAPE = replace(config(n_layers=1), quantization=DType.Q8_0)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for seed, name in enumerate(("base", "child")):
        (tmp_path / f"{name}.slm").write_bytes(random_file(SHAPE, seed))
    return tmp_path


def made(folder: Path, kind: str, *options: str) -> Path:
    out = folder / f"a.{kind}"
    result = run("adapter", "make", "--base", folder / "base.slm", "--child", folder / "child.slm", "--format", kind,
                 "--out", out, *options)
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize("name", list(command.commands))
def test_every_subcommand_has_help_with_an_example(name: str) -> None:
    result = run("adapter", name, "--help")
    assert result.exit_code == 0
    assert f"  Example:\n    tinypylm adapter {name}" in result.output


def test_every_subcommand_and_option_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "adapters.md").read_text(encoding="utf-8")
    for name, sub in command.commands.items():
        assert f"tinypylm adapter {name}" in text
        for option in sub.params:
            if isinstance(option, click.Option):
                assert option.opts[0] in text, option.opts[0]


def test_a_package_says_how_many_tensors_it_makes_exactly_the_childs(files: Path) -> None:
    result = run("adapter", "make", "--base", files / "base.slm", "--child", files / "child.slm", "--format", "adp1",
                 "--out", files / "a.adp1", "--role", "wq")
    assert "1 of the 11 tensors that differ, of which 1 will have exactly the child's bytes" in result.output


def test_a_child_written_from_a_package_is_the_child(files: Path) -> None:
    out = made(files, "adp1", "--role", "wq", "--role", "w_down")
    result = run("adapter", "apply", files / "base.slm", out, "--out", files / "again.slm")
    assert result.exit_code == 0
    again, child = parse((files / "again.slm").read_bytes()), parse((files / "child.slm").read_bytes())
    same = [one.role.label for one, other in zip(again.tensors, child.tensors, strict=True)
            if one.checksum == other.checksum]
    assert same == ["wq", "w_down"]
    assert list(again.metadata["lineage_sha256"]) == ["adapter_0", "base"]


def test_inspect_shows_base_and_entries(files: Path) -> None:
    out = made(files, "alr1", "--rank", "3", "--role", "wv")
    shown = json.loads(run("adapter", "inspect", out, "--json").output)
    assert shown["entries"] == [
        {"role": "wv", "layer": 0, "shape": [32, 64], "rank": 3, "count": 3 * 96, "bytes": 12 * 96}]
    assert shown["base"]["hidden_size"] == 64
    assert "wv of layer 0" in run("adapter", "inspect", out).output


def test_generating_with_an_adapter_is_generating_with_the_child(files: Path) -> None:
    out = made(files, "asp1", "--keep-ppm", "200000", "--role", "wq", "--role", "w_up")
    run("adapter", "apply", files / "base.slm", f"{out}:0.5", "--out", files / "again.slm")
    told = [json.loads(run("generate", *arguments, "--prompt", "ab", "--max-tokens", "12", "--json").output)
            for arguments in ([files / "base.slm"], [files / "base.slm", "--adapter", f"{out}:0.5"],
                              [files / "again.slm"])]
    assert told[1]["ids"] == told[2]["ids"] != told[0]["ids"]
    assert [summary["adapter_apply_count"] for summary in told] == [0, 1, 0]


def test_combine_writes_one_package(files: Path) -> None:
    one, other = made(files, "asp1", "--role", "wq"), files / "b.asp1"
    one.rename(other)
    result = run("adapter", "combine", other, made(files, "asp1", "--role", "wk"), "--weights", "1,2", "--out",
                 files / "both.asp1")
    assert "the sum is exact" in result.output
    assert len(json.loads(run("adapter", "inspect", files / "both.asp1", "--json").output)["entries"]) == 2


def test_import_writes_an_alr1(files: Path) -> None:
    base = folder_for(config(), files)
    (files / "lora-base.slm").write_bytes(base.data)
    result = run("adapter", "import", files, "--base", files / "lora-base.slm", "--out", files / "a.alr1")
    assert result.exit_code == 0
    assert "from 1 modules" in result.output


@pytest.mark.parametrize(("arguments", "code"), [
    (["--format", "adp1", "--keep-ppm", "3"], "UnusableChoice"),
    (["--format", "asp1", "--rank", "3"], "UnusableChoice"),
    (["--format", "adp1", "--role", "nose"], "UnusableChoice")])
def test_an_option_without_a_use_is_refused(files: Path, arguments: list[str], code: str) -> None:
    result = run("adapter", "make", "--base", files / "base.slm", "--child", files / "child.slm", *arguments, "--out",
                 files / "a")
    assert result.exit_code == 1
    assert f"[{code}]" in result.output


@pytest.mark.parametrize(("adapter", "code"), [
    ("missing.adp1", "MissingFile"), ("a.adp1:much", "UnusableChoice"), ("base.slm", "AdapterMagic"),
    ("a.adp1:0", "AdapterScaleInvalid")])
def test_an_adapter_that_cannot_be_applied_is_named(files: Path, adapter: str, code: str) -> None:
    made(files, "adp1", "--role", "wq")
    result = run("generate", files / "base.slm", "--prompt", "a", "--adapter", files / adapter)
    assert result.exit_code == 1
    assert f"[{code}]" in result.output


def test_weights_that_are_no_numbers_are_refused(files: Path) -> None:
    out = made(files, "adp1", "--role", "wq")
    assert "[UnusableChoice]" in run("adapter", "combine", out, "--weights", "a", "--out", files / "b").output
