"""`tinypylm admit`: into the selector, by every step that leads there."""

from __future__ import annotations

from pathlib import Path

import click

from tinypylm.canonical import JsonObject
from tinypylm_tools.evaluation.sidecar import running_once
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.renewal import Renewal


@click.command()
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--name", help="The id in the selector; the file's name without .slm if not given.")
@click.option("--again", is_flag=True, help="Evaluate and promote again, also where there are records that hold.")
def command(models: tuple[Path, ...], name: str | None, again: bool) -> None:
    """Put MODELS into the selector, and verify what the page will then verify.

    Steps that have no record yet, or one that does not fit the model any more, are done first with their defaults:
    `candidate`, `eval`, `promote`. A stack of adapters is the one that the model was evaluated with.

    A folder stands for all that its registry offers; with --again, adapter packages are evaluated first.

    \b
    Example:
      tinypylm admit models/story.slm
      tinypylm admit --again models/
    """
    if name is not None and (len(models) > 1 or models[0].is_dir()):
        raise click.UsageError("--name is for one model; give no other, and no folder.")
    run = running_once()
    for path in models:
        root = path if path.is_dir() else path.parent
        renewal = Renewal(Book(Folder(root)), again, _announce, run)
        for entry in renewal.admit_all() if path.is_dir() else [renewal.admit(name or path.stem, path)]:
            _report(entry, renewal.book.folder)


def _announce(name: str, step: str) -> None:
    click.echo(f"{name}: {step}", err=True)


def _report(entry: JsonObject, folder: Folder) -> None:
    click.echo(f"{entry['id']}: admitted, {entry['verdict']}; registry {folder.registry}")
