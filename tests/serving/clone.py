"""A small clone of the project with packages of its own, for set-up without a network.

pip is the real one, pointed at a folder by its user's configuration; npm is a script that hands out one archive.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from tinypylm_tools.serving.lock import LockedFile, Package, write_lock
from tinypylm_tools.serving.wheel import build_wheel

ROOT = Path(__file__).resolve().parent.parent.parent
MEMBERS = {"pyodide.mjs": b"export {};", "pyodide.asm.wasm": b"\0asm" * 5_000}
PROJECT = """[project]
name = "{name}"
version = "{version}"
description = "A project of the tests"
license = "MIT"
requires-python = ">=3.11"
"""
NPM = """#!{python}
import json, os, shutil, sys, time
if "--version" in sys.argv:
    sys.exit(0)
open("{calls}", "a").write(str(os.getpid()) + "\\n")
{behaviour}
"""
NODE = """#!{python}
import sys
open("{calls}", "a").write("called\\n")
{behaviour}
"""
MAKE_MEMORY = 'open(sys.argv[4], "wb").write(b"head" + bytes(65_536) + b"heap"); print(64)'
HAND_OUT = 'shutil.copy("{archive}", os.getcwd())'
HANG = 'open("half.tgz", "wb").write(b"half"); time.sleep(60)'


@dataclass(frozen=True)
class Clone:
    root: Path

    @property
    def vendor(self) -> Path:
        return self.root / "web" / "vendor"

    @property
    def npm_calls(self) -> list[int]:
        calls = self.root / "npm-calls"
        return [int(line) for line in calls.read_text().split()] if calls.exists() else []

    def set_npm(self, behaviour: str) -> None:
        script = self.root / "bin" / "npm"
        text = behaviour.replace("{archive}", str(self.root / "pyodide-1.0.0.tgz"))
        script.write_text(NPM.format(python=sys.executable, calls=self.root / "npm-calls", behaviour=text))
        script.chmod(0o755)

    @property
    def node_calls(self) -> int:
        calls = self.root / "node-calls"
        return len(calls.read_text().split()) if calls.exists() else 0

    def set_node(self, behaviour: str) -> None:
        script = self.root / "bin" / "node"
        script.write_text(NODE.format(python=sys.executable, calls=self.root / "node-calls", behaviour=behaviour))
        script.chmod(0o755)

    def break_pip(self) -> None:
        """From now on `python -m pip` fails in this clone, as where pip is missing."""
        (self.root / "pythonpath" / "pip.py").write_text("import sys; sys.exit('No module named pip')")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": str(self.root / "bin"),
            "PYTHONPATH": str(self.root / "pythonpath"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.root / "wheels"),
            "PIP_CONFIG_FILE": os.devnull,
        }
        command = [sys.executable, str(self.root / "serve.py"), "--port", "0", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd="/", env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Start, stop with Ctrl-C as soon as it serves; exit status, standard output, standard error."""
        with self.start(*arguments) as process:
            assert process.stdout
            line = process.stdout.readline()
            if line:
                process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
            return process.returncode, line + output, errors

    def installed(self) -> set[str]:
        """Every file of web/vendor/ but the snapshot and the lock that keeps two set-ups apart."""
        files = (path for path in self.vendor.rglob("*") if path.is_file() and path.name != ".lock")
        files = (path for path in files if path.suffix != ".snapshot")
        return {path.relative_to(self.vendor).as_posix() for path in files}

    @property
    def snapshots(self) -> list[Path]:
        return [*self.vendor.glob("*.snapshot")]

    def wait_for_staging(self) -> Path:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for half in self.vendor.glob(".staging-*/*/half.tgz"):
                return half
            time.sleep(0.02)
        raise AssertionError("the set-up did not begin")


def make_clone(root: Path) -> Clone:
    for folder in ("bin", "pythonpath", "wheels", "web", "models"):
        (root / folder).mkdir()
    (root / "web" / "index.html").write_text("<!doctype html>")
    shutil.copy(ROOT / "serve.py", root)
    for package in ("runtime/tinypylm", "tools/tinypylm_tools"):
        (root / package).mkdir(parents=True)
        for name in ("__init__.py", "canonical.py", "errors.py", "file_bytes.py"):
            if (ROOT / package / name).exists():
                shutil.copy(ROOT / package / name, root / package)
    serving = root / "tools/tinypylm_tools/serving"
    shutil.copytree(ROOT / "tools/tinypylm_tools/serving", serving, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pyproject.toml").write_text(PROJECT.format(name="tinypylm", version="0.1.0"))
    make_archive(root / "pyodide-1.0.0.tgz", MEMBERS)
    write_lock(_packages(_make_micropip(root)), serving / "vendor.lock")
    clone = Clone(root)
    clone.set_npm(HAND_OUT)
    clone.set_node(MAKE_MEMORY)
    lock = clone.run("--lock")
    assert lock[0] == 0, lock
    (root / "npm-calls").unlink()
    return clone


def make_archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            source = path.with_name(name)
            source.write_bytes(data)
            tar.add(source, f"package/{name}")


def _make_micropip(root: Path) -> str:
    """A wheel for pip to find, made as ours is made."""
    project = root / "micropip"
    (project / "runtime" / "tinypylm").mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT.format(name="micropip", version="1.0.0"))
    wheel = build_wheel(project)
    (root / "wheels" / wheel.name).write_bytes(wheel.data)
    return wheel.name


def _packages(wheel: str) -> tuple[Package, ...]:
    """Without digests: `serve.py --lock` fills them in."""
    files = tuple(LockedFile(f"pyodide/{name}", f"package/{name}", 0, "") for name in MEMBERS)
    return (
        Package("pyodide", "1.0.0", "npm", 0, files),
        Package("micropip", "1.0.0", "pip", 0, (LockedFile(wheel, "", 0, ""),)),
    )
