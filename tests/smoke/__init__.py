"""Whole journeys through the page, each one command and one test, in any engine: `python -m tests smoke MODE`.

A mode is a file of this folder: test_step_token.py is `step-token`, and its first line says what it proves.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from tests.engines import NAMES

FOLDER = Path(__file__).resolve().parent


def modes() -> dict[str, str]:
    """What each mode proves, by its name."""
    return {
        path.stem.removeprefix("test_").replace("_", "-"): (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
        for path in sorted(FOLDER.glob("test_*.py"))
    }


def parse(arguments: list[str]) -> list[str]:
    """What pytest needs for the mode and the options that were asked for."""
    known = modes()
    parser = argparse.ArgumentParser(
        prog="python -m tests smoke",
        description="Drive the page in a real browser through one journey.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="modes:\n" + "\n".join(f"  {name:26} {proof.splitlines()[0]}" for name, proof in known.items()),
    )
    parser.add_argument("mode", metavar="MODE", choices=[*known, "all"], help="one of those below, or all")
    parser.add_argument("--headed", action="store_true", help="show the browser")
    parser.add_argument("--engine", choices=NAMES, default=NAMES[0], help="default: %(default)s")
    options = parser.parse_args(arguments)
    path = FOLDER if options.mode == "all" else FOLDER / f"test_{options.mode.replace('-', '_')}.py"
    return [str(path), "--durations=0", f"--engine={options.engine}", *(["--headed"] if options.headed else [])]
