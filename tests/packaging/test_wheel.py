"""A built wheel carries everything that `tinypylm serve` shows: the page, Pyodide, small models with their evidence."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from email.parser import Parser
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import Installed
from tests.web.desk import STORYTELLER, Desk
from tinypylm_tools.serving.site import INSIDE_MODEL_BYTES, INSIDE_VERDICT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SITE = "tinypylm_tools/site/"


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_file_that_the_runtime_manifest_names_is_inside_with_its_digest(contents: dict[str, bytes]) -> None:
    files = json.loads(contents[f"{SITE}vendor/manifest.json"])["files"]
    assert {"index.html", "worker.js", "vendor/pyodide/pyodide.asm.wasm"} <= {file["path"] for file in files}
    assert [f["path"] for f in files if sha256(contents[SITE + f["path"]]).hexdigest() != f["sha256"]] == []


def test_the_small_models_are_inside_and_no_other_file_of_that_kind(
    contents: dict[str, bytes], repo_root: Path
) -> None:
    every = json.loads((repo_root / "models/selector.registry").read_bytes())["models"]
    small = {m["id"] for m in every if m["enabled"] and m["bytes"] <= INSIDE_MODEL_BYTES
             and m["verdict"] == INSIDE_VERDICT}
    inside = json.loads(contents[f"{SITE}models/selector.registry"])["models"]
    assert {model["id"] for model in inside} == small != {model["id"] for model in every}
    assert {name for name in contents if name.endswith(".slm")} == {f"{SITE}models/{model['file']}" for model in inside}


def test_every_module_is_inside_and_nothing_that_is_none_of_a_user_s(
    contents: dict[str, bytes], repo_root: Path
) -> None:
    for folder in ("runtime", "tools"):
        modules = (repo_root / folder).rglob("*.py")
        assert {path.relative_to(repo_root / folder).as_posix() for path in modules} <= set(contents)
    assert [name for name in contents if name.startswith(("tests", "build")) or "__pycache__" in name] == []


def test_the_metadata_ask_for_what_the_tools_import(contents: dict[str, bytes]) -> None:
    (name,) = [name for name in contents if name.endswith(".dist-info/METADATA")]
    required = Parser().parsestr(contents[name].decode()).get_all("Requires-Dist") or []
    needed = {line.split(">")[0].strip() for line in required if "extra ==" not in line}
    assert needed == {"numpy", "wasmtime", "click", "safetensors"}


def test_an_installed_copy_finds_all_of_its_files_as_they_were_built(installed: Installed) -> None:
    done = installed.run("serve", "--check")
    assert (done.returncode, done.stdout.endswith(": all agree\n")) == (0, True), done.stderr


def test_an_installed_copy_serves_a_page_that_writes(installed: Installed, browser: Browser) -> None:
    command = installed.command("serve", "--port", "0")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd="/", env=installed.environment, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        with browser.new_context() as context:
            desk = Desk(context.new_page(), address, f"?model={STORYTELLER}")
            desk.reaches("model-ready")
            assert len(desk.tokens("Once upon a time", max_tokens=8)) == 8
            assert desk.errors == []
            assert [url for url in desk.requests if not url.startswith((address, "blob:", "data:"))] == []
        process.terminate()
        assert process.communicate(timeout=10)[1] == "stopped\n"


def test_an_installed_copy_that_was_damaged_does_not_start(installed: Installed, tmp_path: Path) -> None:
    damaged = Installed(tmp_path / "copy")
    shutil.copytree(installed.folder, damaged.folder)
    (damaged.site / "style.css").write_text("body { color: red }")
    done = damaged.run("serve", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "style.css is not the file that the runtime manifest names. Install the package again." in done.stderr


def test_an_installed_copy_admits_and_serves_a_model_of_one_s_own(
    installed: Installed, repo_root: Path, tmp_path: Path
) -> None:
    models = tmp_path / "mine"
    models.mkdir()
    shutil.copy(repo_root / "models/fixtures/tiny-test-model-q8_0.slm", models / "tiny.slm")
    done = installed.run("admit", str(models / "tiny.slm"))
    assert done.returncode == 0, done.stderr
    done = installed.run("serve", "--models", str(models), "--check")
    assert (done.returncode, done.stderr) == (0, "")
