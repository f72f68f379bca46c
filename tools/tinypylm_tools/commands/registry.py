"""`tinypylm registry`: what the page offers, and what lies beside it without being offered."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinypylm.canonical import JsonObject
from tinypylm.provenance.schema import items
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the entries.")
def command(folder: Path, as_json: bool) -> None:
    """List the entries of FOLDER/selector.registry, after checking the ledger that it pins.

    .slm files that no entry names are listed with the command that admits them.

    \b
    Example:
      tinypylm registry models/
    """
    book = Book(Folder(folder))
    book.verified()
    entries = book.entries()
    if as_json:
        click.echo(json.dumps(entries))
        return
    for entry in entries:
        click.echo(_line(entry))
    offered = {entry["file"] for entry in entries}
    for path in book.folder.models():
        if path.name not in offered:
            click.echo(f"not offered: {path}; `tinypylm admit {path}` changes that")


def _line(entry: JsonObject) -> str:
    state = "" if entry["enabled"] else " (in quarantine)"
    claims = ", ".join(map(str, items(entry["claims"])))
    stack = f", {len(items(entry['adapters']))} adapters" if entry["adapters"] else ""
    return f"{entry['id']}{state}: {entry['bytes']:,} bytes{stack}; {claims}; {entry['verdict']}"
