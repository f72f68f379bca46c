"""`tinypylm diff`: two models side by side, for people or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from tinypylm_tools.breeding.difference import Distance, distances
from tinypylm_tools.breeding.parents import Parent
from tinypylm_tools.model_file import open_model

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def command(a: Path, b: Path, as_json: bool) -> None:
    """Compare the weights of the models A and B, tensor by tensor.

    They have the same tensors; how these are stored may differ. rms is that of B - A, relative its length in lengths of
    A, signs the share of weights with the same sign, cosine that of the angle between the two.

    \b
    Example:
      tinypylm diff models/storyteller-2m-q8_0.slm models/storyteller-2m-q4_0.slm
    """
    rows = distances(_opened(a), _opened(b))
    if as_json:
        click.echo(json.dumps({"a": str(a), "b": str(b), "tensors": [_json(row) for row in rows[:-1]],
                               "all": _json(rows[-1])}))
    else:
        click.echo("\n".join(_lines(rows)))


def _opened(path: Path) -> Parent:
    file = open_model(path)
    return Parent("parent", file.data, file.model, file.sha256)


def _json(row: Distance) -> dict[str, str | int | float | None]:
    return {
        "tensor": row.name, "elements": row.elements, "equal": row.equal, "rms": row.rms, "largest": row.largest,
        "relative": row.relative, "sign_agreement": row.sign_agreement, "cosine": row.cosine}


def _lines(rows: list[Distance]) -> Iterator[str]:
    yield (f"{'tensor':26} {'elements':>10} {'equal':>7} {'rms':>10} {'largest':>10} {'relative':>9} {'signs':>7} "
           f"{'cosine':>9}")
    for row in rows:
        yield (f"{row.name:26} {row.elements:>10,} {row.equal / row.elements:>7.1%} {row.rms:>10.3g} "
               f"{row.largest:>10.3g} {_figure(row.relative, 4):>9} {row.sign_agreement:>7.1%} "
               f"{_figure(row.cosine, 6):>9}")


def _figure(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"
