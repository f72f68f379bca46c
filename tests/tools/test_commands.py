"""The commands as a person or a script meets them: output, exit status, errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.tools.checkpoint_folder import edit_config, make_checkpoint
from tinypylm.format import parse
from tinypylm_tools.cli import COMMANDS, main
from tinypylm_tools.fixtures import fixtures


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.slm"
    path.write_bytes(fixtures()["tiny-test-model-q4_0.slm"])
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path)


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, line in COMMANDS.items():
        assert f"  {name}" in result.output
        assert line in " ".join(result.output.split())


def available() -> list[str]:
    folder = Path(str(main.callback.__code__.co_filename)).parent / "commands"  # type: ignore[union-attr]
    return [name for name in COMMANDS if (folder / f"{name}.py").is_file()]


@pytest.mark.parametrize("name", available())
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"  Example:\n    tinypylm {name}" in result.output
    assert isinstance(main.get_command(click.Context(main), name), click.Command)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("pak").exit_code == 2


@pytest.mark.parametrize("kind", ["f32", "q8_0", "q4_0"])
def test_pack_writes_a_file_that_verify_accepts(folder: Path, kind: str) -> None:
    out = folder / "out.slm"
    result = run("pack", folder, out, "--type", kind)
    assert result.exit_code == 0, result.output
    assert parse(out.read_bytes()).config.quantization.label == kind
    assert f"{out}: {out.stat().st_size:,} bytes" in result.stdout
    assert run("verify", out).exit_code == 0


def test_pack_summarises_as_one_json_object(folder: Path) -> None:
    out = folder / "out.slm"
    result = run("pack", folder, out, "--json", "--context-length", "16")
    data = out.read_bytes()
    summary = json.loads(result.stdout)
    tensors = summary.pop("tensors")
    assert summary == {
        "source": "a Hugging Face folder with a llama model in one safetensors file",
        "file": str(out), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "quantization": "q8_0",
        "parameters": 80_960, "context_length": 16, "vocab_size": 300, "n_layers": 2}
    assert [(t["role"], t["layer"], t["dtype"]) for t in tensors[:3]] == [
        ("tok_embeddings", None, "q8_0"), ("final_norm", None, "f32"), ("attn_norm", 0, "f32")]
    assert 0 < tensors[0]["rmse"] < tensors[0]["max_error"] < 0.02
    assert tensors[1]["rmse"] == tensors[1]["max_error"] == 0


def test_pack_says_what_it_found(folder: Path) -> None:
    result = run("pack", folder, folder / "out.slm")
    assert result.stderr.startswith(
        "Found a Hugging Face folder with a llama model in one safetensors file.\nPacking out.slm")


def test_pack_does_what_its_options_say_and_records_it(folder: Path) -> None:
    (folder / "text.txt").write_text("the then")
    result = run(
        "pack", folder, folder / "out.slm", "--type", "q4_0", "--mixed", "w_down=q8_0", "--quantizer", "search",
        "--calibration", folder / "text.txt", "--prune-vocab", folder / "text.txt", "--drop-layers", "0", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["vocab_size"], summary["n_layers"]) == (263, 1)
    model = parse((folder / "out.slm").read_bytes())
    digest = hashlib.sha256(b"the then").hexdigest()
    assert model.metadata["packing"] == {
        "quantizer": "search", "calibration_sha256": digest, "mixed": "w_down=q8_0", "pruned_from_tokens": 300,
        "pruning_sha256": digest, "dropped_layers": "0"}


@pytest.mark.parametrize(("name", "words"), [
    ("model.onnx", "is neither a folder nor a .gguf or .bin file"), ("nothing.gguf", "nothing.gguf is missing"),
    ("nothing.bin", "nothing.bin is missing"), ("nothing", "there is no such folder"),
])
def test_a_source_that_is_none_is_a_typed_error(tmp_path: Path, name: str, words: str) -> None:
    result = run("pack", tmp_path / name, tmp_path / "out.slm")
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_gguf_file_takes_no_other_tokenizer(tmp_path: Path) -> None:
    result = run("pack", tmp_path / "x.gguf", tmp_path / "out.slm", "--tokenizer", tmp_path / "tokenizer.json")
    assert result.exit_code == 1
    assert "a GGUF file has its own" in result.stderr


def test_an_option_that_cannot_be_read_is_a_typed_error(folder: Path) -> None:
    for option, value in (("--mixed", "wq"), ("--drop-layers", "x"), ("--without", "x"), ("--prune-vocab", "no.txt")):
        result = run("pack", folder, folder / "out.slm", option, value)
        assert result.exit_code == 1, option
        assert result.stderr.startswith("error: ")


def test_pack_takes_metadata_from_a_file(folder: Path) -> None:
    (folder / "card.json").write_text('{"name": "Story", "licence": "MIT", "training": {"steps": 3}}')
    result = run("pack", folder, folder / "out.slm", "--metadata", folder / "card.json")
    assert result.exit_code == 0
    metadata = parse((folder / "out.slm").read_bytes()).metadata
    assert (metadata["name"], metadata["training"]) == ("Story", {"steps": 3})


def test_a_checkpoint_that_cannot_be_packed_is_one_line_and_no_file(folder: Path) -> None:
    edit_config(folder, {"model_type": "mamba"})
    result = run("pack", folder, folder / "out.slm")
    assert result.exit_code == 1
    assert result.stderr == (
        'error: model_type in config.json: found "mamba", expected "llama" or "gpt_neox". Only Llama and GPT-NeoX '
        "checkpoints can be packed. [UnsupportedCheckpoint]\n")
    assert not (folder / "out.slm").exists()


def test_an_output_that_cannot_be_written_is_a_typed_error(folder: Path) -> None:
    result = run("pack", folder, folder / "no" / "out.slm")
    assert result.exit_code == 1
    assert "[UnwritableFile]" in result.stderr


def test_inspect_shows_configuration_metadata_and_tensors(model: Path) -> None:
    result = run("inspect", model)
    assert result.exit_code == 0
    for words in ("llama, q4_0, ", "hidden_size      64", "bos_id           256", "Tiny test model", "wq of layer 1"):
        assert words in result.output


def test_inspect_prints_the_same_as_json(model: Path) -> None:
    shown = json.loads(run("inspect", model, "--json").stdout)
    parsed = parse(model.read_bytes())
    assert shown["bytes"] == model.stat().st_size
    assert shown["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert shown["config"]["n_kv_heads"] == 2
    assert shown["metadata"] == parsed.metadata
    assert [(t["role"], t["layer"], t["offset"]) for t in shown["tensors"]] == [
        (t.role.label, t.layer, t.offset) for t in parsed.tensors]
    assert shown["tokenizer"] == {"kind": "bytes", "pre_tokenizer": "none", "tokens": 259, "merges": 0}


def test_verify_accepts_a_sound_file(model: Path) -> None:
    verdict = json.loads(run("verify", model, "--json").stdout)
    assert (verdict["ok"], verdict["code"]) == (True, None)
    assert "is sound" in run("verify", model).output


def test_verify_names_the_rule_that_a_file_breaks(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1])
    result = run("verify", model, "--json")
    verdict = json.loads(result.stdout)
    assert (result.exit_code, verdict["ok"], verdict["code"]) == (1, False, "FileSizeMismatch")
    plain = run("verify", model)
    assert plain.exit_code == 1
    assert plain.stderr == f"error: {verdict['message']} [FileSizeMismatch]\n"


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_file_that_is_not_there_is_a_typed_error(tmp_path: Path, command: str) -> None:
    result = run(command, tmp_path / "nothing.slm")
    assert result.exit_code == 1
    assert "nothing.slm cannot be read" in result.stderr
    assert "[MissingFile]" in result.stderr


def test_a_file_over_the_budget_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.slm"
    with path.open("wb") as file:
        file.truncate(33_554_433)
    assert json.loads(run("verify", path, "--json").stdout)["code"] == "FileTooLarge"


@pytest.mark.parametrize("name", ["pack", "export"])
def test_every_option_of_importing_and_exporting_is_documented(name: str, repo_root: Path) -> None:
    text = (repo_root / "docs" / "importing.md").read_text(encoding="utf-8")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
        assert option in text, option
