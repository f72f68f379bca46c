"""`tinypylm breed`: a model made out of others, with the records from which anyone can make it again."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import click

from tinypylm.canonical import JsonObject
from tinypylm.provenance import RecordKind, dump
from tinypylm.provenance.operators import OPERATORS, Operator, Unit
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.breeding import child as breeding
from tinypylm_tools.breeding.parameters import KEYS, flag, uses
from tinypylm_tools.breeding.recipe import read_recipe
from tinypylm_tools.breeding.search.engines import ENGINES
from tinypylm_tools.breeding.search.run import search
from tinypylm_tools.breeding.search.settings import read_settings
from tinypylm_tools.model_file import open_model
from tinypylm_tools.slm_writer import make_folder, write_atomically

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

_MODELS = (
    click.Option(["--base"], type=_FILE, metavar="B.slm", help="The model that the parents were made from."),
    click.Option(["--parent"], type=_FILE, multiple=True, required=True, metavar="P.slm", help="Once for each parent."),
    click.Option(["--weight-ppm"], type=int, multiple=True, metavar="N", help="In millionths, once for each parent."),
    click.Option(["--keep-ppm"], type=int, metavar="N", help="How much is kept, in millionths."),
    click.Option(["--floor-ppm"], type=int, metavar="N", help="The lower end, in millionths."),
    click.Option(["--seed"], metavar="N", help="0 to 2^64 - 1; 0 if not given."),
    click.Option(["--unit"], type=click.Choice([str(unit) for unit in Unit]),
                 help="What is moved as one; row if not given."),
    click.Option(["--name", "child_name"], metavar="TEXT",
                 help="The child's name; the first model's with the operator's if not given."),
)
_OUTPUT = (
    click.Option(["--out"], type=_FILE, required=True, metavar="CHILD.slm", help="The child."),
    click.Option(["--receipt"], type=_FILE, metavar="R.json", help="Where to write the receipt."),
    click.Option(["--evidence"], type=_FOLDER, metavar="FOLDER",
                 help="Where to write compatibility.json, lineage.json and receipt.json."),
    click.Option(["--json", "as_json"], is_flag=True, help="Print the summary as one JSON object."),
)


@click.group(subcommand_metavar="OPERATOR")
def command() -> None:
    """Make a model out of others, and a receipt from which anyone can make it again.

    Models must be of one shape, one tokenizer and one packing. The same inputs give the same bytes everywhere.

    \b
    Example:
      tinypylm breed dare --base story.slm --parent fables.slm --keep-ppm 500000 --seed 7 --out child.slm
      tinypylm breed run recipe.toml --out child.slm --evidence evidence/
    """


def _operator_command(name: str, operator: Operator) -> click.Command:
    """All operators have the same options; what one does not use it refuses by name."""

    def callback(
        base: Path | None, parent: tuple[Path, ...], weight_ppm: tuple[int, ...], keep_ppm: int | None,
        floor_ppm: int | None, seed: str | None, unit: str | None, child_name: str | None, out: Path,
        receipt: Path | None, evidence: Path | None, as_json: bool,
    ) -> None:
        values = {"keep_ppm": keep_ppm, "floor_ppm": floor_ppm, "seed": seed, "unit": unit}
        given: JsonObject = {key: value for key, value in values.items() if value is not None}
        if weight_ppm:
            given["weights_ppm"] = list(weight_ppm)
        template = breeding.plan(
            name, given, [open_model(path).data for path in parent],
            base=None if base is None else open_model(base).data, name=child_name)
        _make(template, out, receipt, evidence, as_json)

    used = ", ".join(flag(key) for key in KEYS if uses(operator, key))
    summary = f"{operator.summary[0].upper()}{operator.summary[1:]}."
    return click.Command(
        name, callback=callback, params=[*_MODELS, *_OUTPUT], short_help=summary,
        help=f"{summary}\n\nTakes {'--base, ' if operator.base else ''}{_parents(operator)}, {used}.")


def _parents(operator: Operator) -> str:
    if operator.fewest == operator.most:
        return f"--parent {'once' if operator.most == 1 else 'twice'}"
    return f"--parent {operator.fewest} to {operator.most} times"


for _name, _operator in OPERATORS.items():
    command.add_command(_operator_command(_name, _operator))


def _run_recipe(recipe: Path, out: Path, receipt: Path | None, evidence: Path | None, as_json: bool) -> None:
    read = read_recipe(recipe)
    template = breeding.plan(read.operator, read.given, read.parents, base=read.base, name=read.name)
    _make(template, out, receipt, evidence, as_json)


command.add_command(click.Command(
    "run", callback=_run_recipe, params=[click.Argument(["recipe"], type=_FILE), *_OUTPUT],
    short_help="Follow a recipe.",
    help="Follow the recipe RECIPE, a TOML file with operator, parameters, and models by path and SHA-256."))


def _search(settings: Path, out: Path, engine: str, jobs: int, as_json: bool) -> None:
    read = read_settings(settings)
    with click.progressbar(length=read.population * read.generations, label="Searching", file=sys.stderr) as bar:
        best, result = search(read, out, engine, jobs, bar.update)
    write_atomically(out / "best.slm", best.child)
    _write_evidence(out, best)
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(f"{out / 'best.slm'}: {best.receipt['operator']}, candidate {result['best']} of {result['tried']} tried")
    for row in [{"role": "child, by the text that selected it", **fields(result["selection"])},
                *map(fields, items(result["reported"]))]:
        microbits, size = row["microbits"], row["bytes"]
        assert isinstance(microbits, int)
        assert isinstance(size, int)
        click.echo(f"{microbits / 1e6 / size:.4f} bits per byte: {row['role']} {str(row['sha256'])[:12]}")


command.add_command(click.Command(
    "search", callback=_search, short_help="Search for operators and parameters.",
    params=[
        click.Argument(["settings"], type=_FILE),
        click.Option(["--out"], type=_FOLDER, required=True, metavar="FOLDER",
                     help="For population.jsonl, best.slm and its records; a search that was stopped goes on there."),
        click.Option(["--engine"], type=click.Choice(ENGINES), default="local", show_default=True,
                     help="Processes of this machine, or Ray."),
        click.Option(["--jobs"], type=click.IntRange(1, 256), default=1, show_default=True,
                     help="How many candidates are tried at a time."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object."),
    ],
    help="Search by the TOML file SETTINGS: seed, population, generations, operators, models, and two texts, of which "
         "one selects and the other is only reported."))


def _make(
    template: breeding.Template, out: Path, receipt: Path | None, evidence: Path | None, as_json: bool
) -> None:
    if evidence is not None:
        make_folder(evidence)
    with click.progressbar(length=template.parameters, label=f"Breeding {out.name}", file=sys.stderr) as bar:
        bred = breeding.run(template, bar.update)
    write_atomically(out, bred.child)
    if receipt is not None:
        write_atomically(receipt, dump(RecordKind.RECEIPT, bred.receipt))
    if evidence is not None:
        _write_evidence(evidence, bred)
    _report(out, bred, as_json)


def _write_evidence(folder: Path, bred: breeding.Bred) -> None:
    make_folder(folder)
    bodies = {RecordKind.COMPATIBILITY: bred.compatibility, RecordKind.LINEAGE: bred.lineage,
              RecordKind.RECEIPT: bred.receipt}
    for kind, body in bodies.items():
        write_atomically(folder / f"{kind}.json", dump(kind, body))


def _report(out: Path, bred: breeding.Bred, as_json: bool) -> None:
    measures = fields(bred.receipt["measures"])
    summary = {"file": str(out), "bytes": len(bred.child), "sha256": sha256(bred.child).hexdigest(),
               "operator": bred.receipt["operator"], "parameters": bred.receipt["parameters"], "measures": measures}
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo("{file}: {bytes:,} bytes, {operator}, sha256 {sha256}".format(**summary))
