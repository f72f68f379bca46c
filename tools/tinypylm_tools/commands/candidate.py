"""`tinypylm candidate`: manifest, records of origin, and the candidate that cites them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from tinypylm.provenance import RecordKind, identifier
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder, read_file

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", type=_FILE)
@click.option("--name", help="The id in the selector; the file's name without .slm if not given.")
@click.option("--label", help="What the selector shows.")
@click.option("--tried", type=click.IntRange(1), default=1, show_default=True,
              help="How many candidates this one was chosen among.")
@click.option("--selected-by", type=_FILE, multiple=True, metavar="FILE",
              help="A suite or text that it was chosen by, and cannot be evaluated on any more; may be repeated.")
def command(model: Path, name: str | None, label: str | None, tried: int, selected_by: tuple[Path, ...]) -> None:
    """Write down what MODEL is and how it came to be, in evidence/NAME beside it.

    A bred model needs the three records that `tinypylm breed --evidence` wrote there. Any other is an import: its
    origin is what its own metadata says.

    \b
    Example:
      tinypylm candidate models/story.slm
      tinypylm candidate models/child.slm --tried 40 --selected-by selection.toml
    """
    digests = tuple(hashlib.sha256(read_file(path)).hexdigest() for path in selected_by)
    book = Book(Folder(model.parent))
    body = steps.candidate(book, model, name or model.stem, label, steps.Choice(tried, digests))
    click.echo(f"{body['name']}: candidate {identifier(RecordKind.CANDIDATE, body)}")
