"""`tinypylm candidate`: manifest, records of origin, and the candidate that cites them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from tinypylm.provenance import RecordKind, identifier
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.adapter_origin import Naming, Origin, record_adapter
from tinypylm_tools.evidence.adapters import SUFFIXES
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.file_bytes import read_file

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", type=_FILE)
@click.option("--name", help="The id in the selector; the file's name without .slm if not given.")
@click.option("--label", help="What the selector shows.")
@click.option("--tried", type=click.IntRange(1), default=1, show_default=True,
              help="How many candidates this one was chosen among.")
@click.option("--selected-by", type=_FILE, multiple=True, metavar="FILE",
              help="A suite or text that it was chosen by, and cannot be evaluated on any more; may be repeated.")
@click.option("--target", type=_FILE, metavar="MODEL", help="Package: the model whose difference to the base it is.")
@click.option("--peft", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Package: the LoRA that it was imported from.")
@click.option("--rank", type=click.IntRange(1), help="Package: the rank that it was made with.")
@click.option("--keep-ppm", type=click.IntRange(1), help="Package: how much of each tensor was kept.")
@click.option("--role", multiple=True, help="Package: the roles that it was restricted to.")
@click.option("--family", help="Package: the family; the base's name with -adapters if not given.")
@click.option("--licence", help="Package: its licence; the base's if not given.")
def command(
    model: Path, name: str | None, label: str | None, tried: int, selected_by: tuple[Path, ...], target: Path | None,
    peft: Path | None, rank: int | None, keep_ppm: int | None, role: tuple[str, ...], family: str | None,
    licence: str | None,
) -> None:
    """Write down what MODEL is and how it came to be, in evidence/NAME beside it.

    A bred model needs the three records that `tinypylm breed --evidence` wrote there. Any other is an import: its
    origin is what its own metadata says.

    MODEL may be an adapter package in adapters/. Then receipt and manifest are written beside it, and the options that
    say how it was made are tried: they have to give the same bytes again.

    \b
    Example:
      tinypylm candidate models/story.slm
      tinypylm candidate models/child.slm --tried 40 --selected-by selection.toml
      tinypylm candidate models/adapters/pirate.asp1 --target pirate.slm --keep-ppm 20000
    """
    if model.suffix in SUFFIXES:
        origin = Origin(target, peft, rank, keep_ppm, role)
        manifest = record_adapter(Folder(model.parent.parent), model.name, origin, Naming(family, label, licence))
        click.echo(f"{manifest['name']}: of the family {manifest['family']}, receipt {manifest['receipt']}")
        return
    digests = tuple(hashlib.sha256(read_file(path)).hexdigest() for path in selected_by)
    book = Book(Folder(model.parent))
    body = steps.candidate(book, model, name or model.stem, label, steps.Choice(tried, digests))
    click.echo(f"{body['name']}: candidate {identifier(RecordKind.CANDIDATE, body)}")
