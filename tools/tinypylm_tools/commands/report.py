"""`tinypylm report`: what is known of an entry of the selector, as a page with plots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.commands.train import check_packages
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import entries_of
from tinypylm_tools.report import Facts, gather, page
from tinypylm_tools.slm_writer import write_atomically

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", type=_FILE)
@click.option("--name", help="The entry, where the file has several; else the one called as the file, or the only one.")
@click.option("--out", required=True, type=_FILE, help="Where to write the page.")
@click.option("--against", type=_FILE, multiple=True, metavar="MODEL",
              help="Compare with this model too; may be repeated.")
@click.option("--parents", type=click.Path(path_type=Path), multiple=True, metavar="FOLDER",
              help="Where else the parents may lie.")
@click.option("--run", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Draw the losses of this run of `tinypylm train`, which wrote the model.")
def command(
    model: Path, name: str | None, out: Path, against: tuple[Path, ...], parents: tuple[Path, ...], run: Path | None
) -> None:
    """Write a page on MODEL: lineage, evaluation, change of each tensor, kept densities, chain of records.

    One HTML file with plots, without scripts and without anything that is fetched; the same records give the same
    bytes. Where the evidence does not hold, the page says which step fails, and the exit status is 1.

    \b
    Example:
      tinypylm report models/child.slm --out child.html
      tinypylm report models/tuned.slm --against models/base.slm --out tuned.html
    """
    folder = Folder(model.parent)
    facts = gather(folder, _entry(folder, model, name), parents, against)
    data = page(replace(facts, losses=_losses(run, facts)) if run else facts)
    write_atomically(out, data)
    click.echo(f"{out}: {len(data):,} bytes; {len(facts.walked.steps)} steps hold")
    if facts.walked.error is not None:
        raise facts.walked.error


def _losses(run: Path, facts: Facts) -> Chart:
    check_packages()
    from tinypylm_tools.report.losses import losses  # noqa: PLC0415 - it imports torch

    return losses(run, facts.model.metadata)


def _entry(folder: Folder, model: Path, name: str | None) -> str:
    """The id of the entry. Raises ToolError where there is none, or the choice is open."""
    ids = entries_of(folder, model.name)
    wanted = name or (model.stem if model.stem in ids or len(ids) != 1 else ids[0])
    if wanted not in ids:
        raise ToolError(
            ErrorCode.NO_EVIDENCE, f"{folder.registry} has no entry {wanted!r} for {model.name}; it has "
            f"{', '.join(ids) or 'none'}. Choose one with --name, or admit the model with `tinypylm admit {model}`.",
            {"file": model.name, "name": wanted})
    return wanted
