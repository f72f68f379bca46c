"""`tinypylm registry`: the list of models that the page offers, written from the files themselves."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.slm_writer import write_atomically

FILE_NAME = "selector.registry"
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABEL_CHARACTERS = 100


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> None:
    """Check every .slm file in FOLDER and list them in FOLDER/selector.registry.

    One file that is not valid stops it, and the registry stays as it was.

    \b
    Example:
      tinypylm registry models/
    """
    paths = sorted(folder.glob("*.slm"))
    if not paths:
        raise ToolError(ErrorCode.MISSING_FILE, f"{folder} holds no .slm file. Pack a model into it first.")
    with click.progressbar(paths, label="Checking models", file=sys.stderr) as bar:
        models = [entry(open_model(path)) for path in bar]
    write_atomically(folder / FILE_NAME, canonical.dumps({"version": 1, "models": [*models]}))
    click.echo(f"{folder / FILE_NAME}: {len(models)} models")


def entry(file: ModelFile) -> JsonObject:
    """What the page must know before it fetches a model."""
    identifier = file.path.stem
    if not _SAFE_ID.fullmatch(identifier):
        raise ToolError(
            ErrorCode.UNUSABLE_NAME, f"{file.path.name} cannot be an id in the registry; expected up to 64 of "
            "A-Z a-z 0-9 . _ - before .slm. Rename the file.", {"file": file.path.name})
    config, metadata = file.model.config, file.model.metadata
    name = str(metadata.get("name") or identifier)[:_LABEL_CHARACTERS]
    return {
        "id": identifier, "label": f"{name}, {config.quantization.label}", "family": config.family.name.lower(),
        "quantization": config.quantization.label, "file": file.path.name, "bytes": file.model.file_bytes,
        "sha256": file.sha256, "licence": metadata.get("licence") or "not stated",
    }
