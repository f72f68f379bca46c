"""`tinypylm verify`: is this file sound? The exit status says so."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinypylm.errors import SlmError
from tinypylm_tools.model_file import open_model


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "code", "message"}.')
def command(model: Path, as_json: bool) -> None:
    """Check the file MODEL against every rule of the format.

    Exits with 0 if it keeps all of them, else with 1 and the code of the first that it breaks.

    \b
    Example:
      tinypylm verify models/storyteller-2m-q8_0.slm
    """
    try:
        file = open_model(model)
    except SlmError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"ok": False, "code": str(error.code), "message": error.message}))
        raise SystemExit(1) from error
    message = f"{model} is sound: {len(file.data):,} bytes, {len(file.model.tensors)} tensors, sha256 {file.sha256}"
    click.echo(json.dumps({"ok": True, "code": None, "message": message}) if as_json else message)
