"""`tinypylm ledger`: the list of every record that was ever made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance import ledger
from tinypylm_tools.evidence.book import Book, Line
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.file_bytes import read_file

if TYPE_CHECKING:
    from types import ModuleType

_MODELS = click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="models")


@click.group()
def command() -> None:
    """Show, check, extend, repair and sign FOLDER/population.ledger, `models/` if no FOLDER is given.

    \b
    Example:
      tinypylm ledger verify models/
    """


@command.command()
@_MODELS
def show(folder: Path) -> None:
    """Print each line: number, time, kind, name, record."""
    for entry in ledger.read(read_file(Folder(folder).ledger)).entries:
        click.echo(f"{entry.seq + 1:5} {entry.time} {entry.kind:10} {entry.name} {entry.body}")


@command.command()
@_MODELS
@click.option("--public-key", metavar="HEX", help="Also check the signature of the registry by this key.")
def verify(folder: Path, public_key: str | None) -> None:
    """Check every link of the chain, and length and head against the registry."""
    book = Book(Folder(folder)).verified()
    click.echo(f"{len(book.entries)} lines, {book.size_bytes:,} bytes, head {book.head}")
    if public_key:
        _signature().check(Folder(folder), public_key)
        click.echo(f"signed by {public_key}")


@command.command()
@_MODELS
@click.option("--kind", type=click.Choice(ledger.KINDS), required=True)
@click.option("--name", required=True, help="The model that the record is of.")
@click.option("--body", required=True, metavar="SHA256", help="The record's identifier.")
def append(folder: Path, kind: str, name: str, body: str) -> None:
    """Add a line for a record that was written elsewhere."""
    if kind == "admission" or not re.fullmatch("[0-9a-f]{64}", body):
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"a line of kind {kind} with the body {body!r:.80} cannot be added; "
                        "expected an identifier of 64 hexadecimal digits, and `tinypylm admit` for admissions.")
    entry = Book(Folder(folder)).append(Line(kind, name, body))
    click.echo(f"line {entry.seq + 1}")


@command.command()
@_MODELS
def repair(folder: Path) -> None:
    """Cut off a torn last line, or accept lines that a crash left without their pin. Damage further up is refused."""
    done = Book(Folder(folder)).repair()
    click.echo(f"{done.cut_bytes} bytes of a torn line cut off, {done.adopted} lines accepted")


@command.command()
@click.argument("key_file", type=click.Path(dir_okay=False, path_type=Path))
def key(key_file: Path) -> None:
    """Write a new private key to KEY_FILE, and print the public one."""
    click.echo(_signature().new_key(key_file))


@command.command()
@_MODELS
@click.option("--key", "key_file", type=click.Path(dir_okay=False, path_type=Path), required=True)
def sign(folder: Path, key_file: Path) -> None:
    """Sign the registry, which pins everything else, and print the public key. Sign again after each change."""
    click.echo(_signature().sign(Folder(folder), key_file))


def _signature() -> ModuleType:
    """Imported when it is needed: it needs a package of its own."""
    from tinypylm_tools.evidence import signature  # noqa: PLC0415

    return signature
