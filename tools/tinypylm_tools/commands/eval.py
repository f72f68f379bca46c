"""`tinypylm eval`: what a model, or an adapter on its base, makes of suites and held-out texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance import RecordKind
from tinypylm.provenance.derivation import ONE, Stacked
from tinypylm.provenance.fingerprint import f32_bits
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evaluation.defaults import default_items
from tinypylm_tools.evaluation.suites import load_suite, load_text
from tinypylm_tools.evidence import adapters, steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.model_file import read_model

_FILE = click.Path(dir_okay=False, path_type=Path)
_NO_RECORD = "0" * 64


@click.command()
@click.argument("model", type=_FILE)
@click.option("--name", help="The candidate's name; the file's name without .slm if not given.")
@click.option("--suite", type=_FILE, multiple=True, help="A suite, .toml or .jsonl; may be repeated.")
@click.option("--text", type=_FILE, multiple=True, help="A held-out text; may be repeated.")
@click.option("--adapter", multiple=True, metavar="PACKAGE[:SCALE]",
              help="Attach an adapter of the folder adapters/ first; at most two, in this order.")
@click.option("--parents", type=click.Path(path_type=Path), multiple=True, metavar="FOLDER",
              help="Where else the parents may lie.")
@click.option("--quality-scope", default="none", show_default=True, metavar="WORDS",
              help="Which quality the tasks are to show; none leaves the claim assistant-quality out.")
@click.option("--dry-run", is_flag=True, help="Write nothing; needs no candidate, and compares with no parent.")
@click.option("--json", "as_json", is_flag=True, help="Print the record.")
def command(
    model: Path, name: str | None, suite: tuple[Path, ...], text: tuple[Path, ...], adapter: tuple[str, ...],
    parents: tuple[Path, ...], quality_scope: str, dry_run: bool, as_json: bool,
) -> None:
    """Run suites and held-out texts on MODEL, and write evidence/NAME/evaluation.json.

    Without --suite and --text these are the sets in the folder evaluation/ beside the model, else those of this tree. A
    model with parents is compared with the best of them. MODEL may be an adapter package in adapters/: it is
    compared with its base, and its evaluation is written beside it.

    \b
    Example:
      tinypylm eval models/story.slm
      tinypylm eval models/story.slm --suite tasks.toml --text held-out.txt --dry-run
      tinypylm eval models/adapters/pirate.alr1
    """
    is_adapter = model.suffix in adapters.SUFFIXES
    folder = Folder(model.parent.parent if is_adapter else model.parent)
    work = _items(folder.root, suite, text, quality_scope)
    if is_adapter:
        body = adapters.evaluate_adapter(folder, model.name, work)
    elif dry_run:
        outcome = sidecar.run(read_model(model), work)
        body = sidecar.sidecar(RecordKind.EVALUATION, {"candidate": _NO_RECORD}, [], work, outcome, [])
    else:
        stack = [_stacked(folder, package) for package in adapter]
        body = steps.evaluate(Book(folder), name or model.stem, work, stack, parents)
    report(body, as_json)


def _stacked(folder: Folder, package: str) -> Stacked:
    """`FILE` or `FILE:SCALE`. Raises ToolError for a scale that is not a number."""
    path, _, scale = package.partition(":")
    try:
        return folder.adapter(Path(path).name, f32_bits(float(scale)) if scale else ONE)
    except (ValueError, OverflowError) as error:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{package!r} has no scale behind its colon; expected PACKAGE or "
                        "PACKAGE:SCALE.", {"found": package}) from error


def _items(root: Path, suites: Sequence[Path], texts: Sequence[Path], scope: str) -> sidecar.Items:
    if not suites and not texts:
        return default_items(root, scope)
    return sidecar.Items.of([load_suite(path) for path in suites], [load_text(path) for path in texts], scope)


def report(body: JsonObject, as_json: bool) -> None:
    """The record, or its summary."""
    click.echo(json.dumps(body) if as_json else "\n".join(sidecar.summary(body)))
