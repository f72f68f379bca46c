"""`tinypylm promote`: what an evaluation supports, as a record."""

from __future__ import annotations

from pathlib import Path

import click

from tinypylm.provenance.schema import items
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder


@click.command()
@click.argument("model", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="The candidate's name; the file's name without .slm if not given.")
def command(model: Path, name: str | None) -> None:
    """Write down which claims the evaluation of MODEL supports; refuse where it supports none.

    The evaluation is computed again from its own rows. A model that is worse than its parent can still claim that it
    runs; the verdict stays with it.

    \b
    Example:
      tinypylm promote models/story.slm
    """
    body = steps.promote(Book(Folder(model.parent)), name or model.stem)
    claims = ", ".join(map(str, items(body["claims"])))
    cases = f"{body['failed_cases']} of {body['case_count']} cases failed"
    click.echo(f"{body['name']}: {claims}; {body['verdict']}; {cases}")
