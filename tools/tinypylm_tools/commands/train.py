"""`tinypylm train`: from texts to sealed files, by a description that stands in a file."""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import click

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.training.description import Description, read_description
from tinypylm_tools.training.places import Places

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("description", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("folder", type=_FOLDER)
@click.option("--data", type=_FOLDER, default=Path(), help="Where the description's texts are; default: here.")
@click.option("--from", "parent", type=click.Path(path_type=Path), metavar="MODEL",
              help="Start from this model: a .slm file, the folder of a run, or what `tinypylm pack` reads.")
@click.option("--teacher", "teachers", type=click.Path(path_type=Path), metavar="MODEL", multiple=True,
              help="Learn this model's probabilities, too, as [teaching] says; of several, their mean.")
@click.option("--threads", type=click.IntRange(1), help="How many torch uses; default: torch decides.")
@click.option("--export", "only_export", is_flag=True, help="Take no step: write the files of the best checkpoint.")
def command(
    description: Path, folder: Path, data: Path, parent: Path | None, teachers: tuple[Path, ...],
    threads: int | None, only_export: bool,
) -> None:
    """Train the model that DESCRIPTION describes, in FOLDER, and write it there as .slm files.

    The same command goes on where a run was ended or killed.

    \b
    Example:
      tinypylm train training/storyteller-3m.toml runs/storyteller-3m --data texts/
      tinypylm train training/fairytales.toml runs/fairytales --data texts/ --from story.slm
    """
    check_packages()
    if threads is not None:
        importlib.import_module("torch").set_num_threads(threads)
    places = Places(description, data, folder, parent, teachers)
    described = read_description(description)
    with places.claimed():
        _train(described, places, only_export)


def _train(described: Description, places: Places, only_export: bool) -> None:
    from tinypylm_tools.training import allocator, export, opening  # noqa: PLC0415 - they import torch

    allocator.keep_memory()
    run = opening.open_run(described, places, _say)
    if not only_export:
        run.go(_say, _terminated())
    if only_export or run.finished:
        for made in export.export(run, places):
            score = made.score
            _say(f"{made.path}: {made.size_bytes:,} bytes, {score.bits_per_byte:.4f} bits per byte held out "
                 f"({score.low:.4f} to {score.high:.4f})")


def check_packages() -> None:
    """Raises ToolError where the extra is not installed."""
    for package in ("torch", "tokenizers"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ToolError(
                ErrorCode.PACKAGE_MISSING, f"Training needs the package {package}, which is not installed. Install "
                "the extra: pip install tinypylm[train]", {"package": package}) from error


def _terminated() -> Callable[[], bool]:
    """Whether the process was asked to end; the run then ends behind a step, with a checkpoint."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGTERM, ask)
    return lambda: bool(asked)


def _say(line: str) -> None:
    click.echo(line)
