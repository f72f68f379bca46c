"""A wheel of this tree, built from a copy so that the tree stays as it is, and installed into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = ("runtime", "tools", "web", "models")
FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


@dataclass(frozen=True)
class Installed:
    """What pip made of the wheel; numpy and the like come from this environment."""

    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "tinypylm_tools" / "site"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "bin" / "tinypylm"), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """No client is on the path, and no index is known."""
        return {"PYTHONPATH": str(self.folder), "PATH": "", "PIP_NO_INDEX": "1", "HOME": os.devnull}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), cwd="/", env=self.environment, capture_output=True, text=True, timeout=60,
            check=False)


@pytest.fixture(scope="session")
def wheel(server: str, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server` has set web/vendor up, so the build needs no client either."""
    assert server
    tree, made = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copytree(repo_root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(repo_root / name, tree)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, env=os.environ | {"PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = made.iterdir()
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    install = [*PIP, "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--target", str(folder)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    return Installed(folder)
