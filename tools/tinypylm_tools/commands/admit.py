"""`tinypylm admit`: into the selector, by every step that leads there."""

from __future__ import annotations

from pathlib import Path

import click

from tinypylm_tools.evaluation.defaults import default_items
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import verify


@click.command()
@click.argument("models", type=click.Path(dir_okay=False, path_type=Path), nargs=-1, required=True)
@click.option("--name", help="The id in the selector; the file's name without .slm if not given.")
@click.option("--again", is_flag=True, help="Do every step again, also those that have a record.")
def command(models: tuple[Path, ...], name: str | None, again: bool) -> None:
    """Put MODELS into the selector, and verify what the page will then verify.

    Steps that have no record yet, or one that does not fit the model any more, are done first with their defaults:
    `candidate`, `eval`, `promote`. A stack of adapters is the one that the model was evaluated with.

    \b
    Example:
      tinypylm admit models/story.slm
    """
    for model in models:
        book, called = Book(Folder(model.parent)), name or model.stem
        for step in steps.STEPS if again else steps.missing_steps(book.folder, called, model):
            _do(book, step, called, model)
        entry = steps.admit(book, called)
        verify(book.folder, called)
        click.echo(f"{called}: admitted, {entry['verdict']}; registry {book.folder.registry}")


def _do(book: Book, step: str, name: str, model: Path) -> None:
    click.echo(f"{name}: {step}", err=True)
    if step == "candidate":
        steps.candidate(book, model, name)
    elif step == "evaluation":
        steps.evaluate(book, name, default_items(book.folder.root))
    else:
        steps.promote(book, name)
