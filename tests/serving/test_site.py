"""`tinypylm export site`: what is in the folder, that its evidence holds, and that no folder is lost to it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.hosting.whitenoise_host import read_headers
from tests.serving.raw_http import SECURITY_FIELDS
from tests.web.desk import STORYTELLER
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm_tools.cli import main
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.serving.place import Place, place_of_tree
from tinypylm_tools.serving.site import headers_file, write_site


@pytest.fixture(scope="module")
def place(repo_root: Path, server: str) -> Place:
    assert server  # it has set web/vendor up
    return place_of_tree(repo_root)


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["export", "site", *map(str, arguments)])


def test_only_the_chosen_models_are_there_with_their_evidence(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    result = export(folder, "--model", STORYTELLER, "--model", "storyteller-2m-fairytales")
    assert result.exit_code == 0, result.output
    assert f"{folder}: " in result.stdout
    models = folder / "models"
    assert {path.name for path in models.glob("*.slm")} == {f"{STORYTELLER}.slm"}
    assert {path.name for path in (models / "evidence").iterdir()} == {STORYTELLER, "storyteller-2m-fairytales"}
    for name in (STORYTELLER, "storyteller-2m-fairytales"):
        assert CliRunner().invoke(main, ["verify", str(models / f"{STORYTELLER}.slm")]).exit_code == 0, name


def test_the_registry_is_the_chosen_entries_as_they_are_over_the_whole_ledger(place: Place, tmp_path: Path) -> None:
    write_site(place, tmp_path / "site", [STORYTELLER])
    before, after = (json.loads((models / "selector.registry").read_bytes()) for models in (
        place.models, tmp_path / "site" / "models"))
    assert after == before | {"models": [entry for entry in before["models"] if entry["id"] == STORYTELLER]}
    book = Book(Folder(tmp_path / "site" / "models"))
    assert book.verified().head == Book(Folder(place.models)).verified().head


def test_without_a_choice_the_registry_is_the_same_file(place: Place, tmp_path: Path) -> None:
    written = write_site(place, tmp_path / "site")
    registry = (place.models / "selector.registry").read_bytes()
    assert (tmp_path / "site" / "models" / "selector.registry").read_bytes() == registry
    assert list(written.models) == [entry["id"] for entry in json.loads(registry)["models"] if entry["enabled"]]


def test_nothing_but_page_vendored_files_models_and_headers_is_there(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    written = write_site(place, folder, [STORYTELLER])
    named = {file["path"] for file in json.loads((folder / "vendor/manifest.json").read_bytes())["files"]}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith("models/")} == named | {"vendor/manifest.json", "_headers"}
    assert len(found) == written.files
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_the_headers_are_those_of_serve_py() -> None:
    (rule,) = read_headers(headers_file()).items()
    sent = {name: value for name, value in SECURITY_FIELDS.items() if name != "connection"}
    assert rule == ("/*", rule[1])
    assert {name.lower(): value for name, value in rule[1].items()} == sent
    assert max(map(len, headers_file().splitlines())) < 2_000


def test_the_documented_lines_for_nginx_send_the_same(repo_root: Path) -> None:
    text = (repo_root / "docs" / "hosting.md").read_text(encoding="utf-8")
    lines = re.findall(r'^    add_header (\S+) "([^"]*)" always;$', text, re.MULTILINE)
    assert dict(lines) == read_headers(headers_file())["/*"]


def test_every_option_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "hosting.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z-]+", export("--help").stdout)) - {"--help"}
    assert [name for name in options if f"| `{name}" not in text] == []


def test_a_site_gives_the_same_site_again(place: Place, tmp_path: Path) -> None:
    write_site(place, tmp_path / "one", [STORYTELLER])
    folder = tmp_path / "one"
    write_site(Place(folder, folder / "models"), tmp_path / "two")
    read = [{path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
            for root in (folder, tmp_path / "two")]
    assert read[0] == read[1]


@pytest.mark.parametrize("names", [["no-such-model"], [STORYTELLER, "no-such-model"]])
def test_a_model_that_is_not_offered_is_refused(place: Place, tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ProvenanceError, match="the registry has no entry 'no-such-model'"):
        write_site(place, tmp_path / "site", names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", [f"{STORYTELLER}.slm", f"evidence/{STORYTELLER}/receipt.json"])
def test_a_model_whose_evidence_does_not_hold_is_not_exported(place: Place, tmp_path: Path, file: str) -> None:
    models = tmp_path / "models"
    shutil.copytree(place.models, models)
    data = bytearray((models / file).read_bytes())
    data[-2] ^= 1
    (models / file).write_bytes(data)
    result = export(tmp_path / "site", "--models", models, "--model", STORYTELLER)
    assert result.exit_code == 1
    assert Path(file).name in result.stderr
    assert not (tmp_path / "site").exists()


def test_a_page_that_is_not_that_of_its_manifest_is_not_exported(place: Place, tmp_path: Path) -> None:
    write_site(place, tmp_path / "one", [STORYTELLER])
    (tmp_path / "one" / "main.js").write_text("export {};")
    with pytest.raises(ToolError, match=r"/main\.js has 10 bytes") as refused:
        write_site(Place(tmp_path / "one", tmp_path / "one" / "models"), tmp_path / "two")
    assert refused.value.code == ErrorCode.DIGEST_MISMATCH
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_an_empty_folder_is_used(place: Place, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert export(tmp_path / "site", "--model", STORYTELLER).exit_code == 0
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_site_is_exchanged_only_on_request(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert export(folder, "--model", STORYTELLER).exit_code == 0
    (folder / "from-before").write_text("")
    again = export(folder, "--model", "storyteller-2m-q4_0")
    assert (again.exit_code, "Add --replace" in again.stderr) == (1, True)
    assert (folder / "from-before").exists()
    assert export(folder, "--model", "storyteller-2m-q4_0", "--replace").exit_code == 0
    assert not (folder / "from-before").exists()
    assert [path.name for path in (folder / "models").glob("*.slm")] == ["storyteller-2m-q4_0.slm"]


@pytest.mark.parametrize("arguments", [[], ["--replace"]])
def test_a_folder_of_anything_else_is_never_touched(place: Place, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-mother.txt").write_text("Dear")
    result = export(tmp_path / "letters", *arguments)
    assert (result.exit_code, "something that is no exported site" in result.stderr) == (1, True)
    assert (tmp_path / "letters" / "to-mother.txt").read_text() == "Dear"
    (tmp_path / "letter.txt").write_text("Dear")
    result = export(tmp_path / "letter.txt", *arguments)
    assert (result.exit_code, "is no folder" in result.stderr) == (1, True)


def test_a_place_that_cannot_be_written_is_one_line(place: Place, tmp_path: Path) -> None:
    result = export(tmp_path / "no" / "such" / "site")
    assert result.exit_code == 1
    assert result.stderr.endswith("[UnwritableFile]\n")


def test_a_folder_of_models_without_a_registry_is_one_line(place: Place, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    result = export(tmp_path / "site", "--models", tmp_path / "models")
    assert (result.exit_code, "selector.registry cannot be read" in result.stderr) == (1, True)
