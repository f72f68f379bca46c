"""`--check`: every file that would be served against the runtime manifest and the registry; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.desk import STORYTELLER
from tinypylm_tools.serving.check import check
from tinypylm_tools.serving.command import main
from tinypylm_tools.serving.place import Place, place_of_tree
from tinypylm_tools.serving.site import write_site


@pytest.fixture(scope="module")
def pattern(repo_root: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert server  # it has set web/vendor up
    folder = tmp_path_factory.mktemp("checked") / "site"
    write_site(place_of_tree(repo_root), folder, [STORYTELLER])
    return folder


@pytest.fixture
def place(pattern: Path, tmp_path: Path) -> Place:
    shutil.copytree(pattern, tmp_path / "site")
    return Place(tmp_path / "site", tmp_path / "site" / "models")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def alter(path: Path, before: bytes, after: bytes) -> None:
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))


def test_a_folder_as_it_was_written_agrees_and_has_every_file_compared(place: Place) -> None:
    findings = check(place)
    pinned_otherwise = {"_headers", "vendor/manifest.json", "models/selector.registry", "models/population.ledger"}
    files = [path for path in place.web.rglob("*")
             if path.is_file() and path.relative_to(place.web).as_posix() not in pinned_otherwise]
    assert (findings.problems, findings.unpinned) == ([], [])
    assert findings.files == len(files)
    assert findings.size_bytes == sum(path.stat().st_size for path in files)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a script is another": (lambda web: flip(web / "views/status.js"), "/views/status.js has "),
    "the interpreter is another": (
        lambda web: flip(web / "vendor/pyodide/pyodide.asm.wasm"), "/vendor/pyodide/pyodide.asm.wasm has "),
    "a model is another": (lambda web: flip(web / f"models/{STORYTELLER}.slm"), f"/models/{STORYTELLER}.slm has "),
    "a record is another": (
        lambda web: flip(web / f"models/evidence/{STORYTELLER}/receipt.json"), "receipt.json has "),
    "a plan is another": (lambda web: flip(web / f"models/evidence/{STORYTELLER}/plan.json"), "plan.json has "),
    "a script is missing": (lambda web: (web / "main.js").unlink(), "/main.js is missing"),
    "a model is missing": (lambda web: (web / f"models/{STORYTELLER}.slm").unlink(), "is missing"),
    "a script is a link": (
        lambda web: (web / "main.js").rename(web / "_main") and (web / "main.js").symlink_to("_main"),
        "/main.js is missing"),
    "a script more": (lambda web: (web / "more.js").write_text("export {};"), "/more.js is served, but the runtime"),
    "a vendored file more": (
        lambda web: (web / "vendor/stray.js").write_text("0"), "/vendor/stray.js is served, but the runtime"),
    "no manifest": (lambda web: (web / "vendor/manifest.json").unlink(), "Start serve.py once"),
    "another manifest": (lambda web: flip(web / "vendor/manifest.json"), "manifest"),
    "another ledger": (lambda web: flip(web / "models/population.ledger"), "ledger"),
    "a registry that is none": (lambda web: (web / "models/selector.registry").write_text("{}"), "record"),
    "an entry that its evidence does not support": (
        lambda web: alter(web / "models/selector.registry", b'"verdict":"no parent"', b'"verdict":"better"'),
        f"{STORYTELLER}: "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_not_as_it_was_pinned_is_named(place: Place, change: str) -> None:
    make, says = CHANGES[change]
    make(place.web)
    assert says in "\n".join(check(place).problems)


def test_what_no_page_asks_for_is_told_and_is_no_fault(place: Place) -> None:
    (place.models / "README.md").write_text("about the models")
    findings = check(place)
    assert (findings.problems, findings.unpinned) == ([], ["/models/README.md"])


def test_the_exit_status_and_the_last_line_say_how_it_went(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(place, ["--check"]) == 0
    assert capsys.readouterr().out.endswith(": all agree\n")
    flip(place.web / "main.js")
    flip(place.web / "store.js")
    assert main(place, ["--check"]) == 1
    output, errors = capsys.readouterr()
    assert output.endswith(": 2 do not agree\n")
    assert errors.count("\n") == 2


def test_nothing_is_written_and_no_port_is_taken(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in place.web.rglob("*")}
    flip(place.web / "main.js")
    before[place.web / "main.js"] = (place.web / "main.js").stat().st_mtime_ns
    assert main(place, ["--check", "--port", "1"]) == 1
    assert {path: path.stat().st_mtime_ns for path in place.web.rglob("*")} == before
    assert "http://" not in capsys.readouterr().out
