"""The wheel of the runtime: the same bytes anywhere, complete, and accepted by pip."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from io import BytesIO
from pathlib import Path

import pytest

from tinypylm_tools.serving.wheel import build_wheel

PROJECT = """[project]
name = "tinypylm"
version = "1.2.3"
description = "A summary"
license = "MIT"
requires-python = ">=3.11"
dependencies = ["numpy"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "runtime" / "tinypylm"
    (package / "wasm" / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("NAME = 'tinypylm'\n")
    (package / "wasm" / "__init__.py").write_text("")
    (package / "wasm" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    (package / "notes.txt").write_text("not code")
    (tmp_path / "LICENSE").write_text("MIT License\n")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return tmp_path


def members(root: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(build_wheel(root).data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_sources_and_nothing_else(project: Path) -> None:
    assert list(members(project)) == [
        "tinypylm/__init__.py",
        "tinypylm/wasm/__init__.py",
        "tinypylm-1.2.3.dist-info/licenses/LICENSE",
        "tinypylm-1.2.3.dist-info/METADATA",
        "tinypylm-1.2.3.dist-info/WHEEL",
        "tinypylm-1.2.3.dist-info/RECORD",
    ]


def test_the_bytes_depend_on_nothing_but_the_sources(project: Path) -> None:
    before = build_wheel(project)
    for file in project.rglob("*"):
        os.utime(file, (0, 0))
    (project / "LICENSE").chmod(0o600)
    assert build_wheel(project) == before
    assert before.sha256 == "b238405ded11c47445767dbc1e538d7f906ec8821b8649200c6c96c0fef2fadc"


def test_the_record_lists_every_file_with_its_digest(project: Path) -> None:
    files = members(project)
    *rows, own = csv.reader(files["tinypylm-1.2.3.dist-info/RECORD"].decode().splitlines())
    assert own == ["tinypylm-1.2.3.dist-info/RECORD", "", ""]
    assert [row[0] for row in rows] == list(files)[:-1]
    for name, digest, size in rows:
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={expected}", len(files[name]))


def test_the_metadata_are_those_of_the_project_without_what_only_the_host_needs(project: Path) -> None:
    metadata = Parser().parsestr(members(project)["tinypylm-1.2.3.dist-info/METADATA"].decode())
    assert dict(metadata) == {
        "Metadata-Version": "2.4",
        "Name": "tinypylm",
        "Version": "1.2.3",
        "Summary": "A summary",
        "License-Expression": "MIT",
        "Requires-Python": ">=3.11",
        "License-File": "LICENSE",
    }


def test_pip_installs_it(project: Path, tmp_path: Path) -> None:
    wheel = build_wheel(project)
    (tmp_path / wheel.name).write_bytes(wheel.data)
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--no-index", "--target", target, tmp_path / wheel.name]
    subprocess.run(install, check=True, capture_output=True)
    check = "import tinypylm, importlib.metadata as m; print(tinypylm.NAME, m.version('tinypylm'))"
    done = subprocess.run([sys.executable, "-c", check], cwd=target, capture_output=True, text=True, check=True)
    assert done.stdout == "tinypylm 1.2.3\n"


def test_the_wheel_of_this_tree_holds_every_module_of_the_runtime(repo_root: Path) -> None:
    modules = {f.relative_to(repo_root / "runtime").as_posix() for f in (repo_root / "runtime").rglob("*.py")}
    assert modules <= set(members(repo_root))
