"""`tinypylm pack`: a Hugging Face Llama checkpoint becomes one sealed file."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import click

from tinypylm.config import DType
from tinypylm_tools import packing
from tinypylm_tools.slm_writer import write_atomically

_TYPES = {dtype.label: dtype for dtype in DType}


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--type", "quantization", type=click.Choice(list(_TYPES)), default="q8_0", show_default=True,
              help="How the matrices are stored.")
@click.option("--context-length", type=int, metavar="N", help="Shorten the context, which takes memory for each token.")
@click.option("--metadata", type=click.Path(dir_okay=False, path_type=Path),
              help="JSON file with name, description, licence, source, training, chat.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(
    folder: Path, output: Path, quantization: str, context_length: int | None, metadata: Path | None, as_json: bool
) -> None:
    """Pack the Llama checkpoint in FOLDER into the file OUTPUT.

    FOLDER holds config.json, model.safetensors and tokenizer.json.

    \b
    Example:
      tinypylm pack ./checkpoint story.slm --type q4_0 --metadata story.json
    """
    described = {} if metadata is None else packing.read_metadata(metadata)
    recipe = packing.plan(folder, _TYPES[quantization], context_length, described)
    with click.progressbar(length=recipe.parameters, label=f"Packing {output.name}", file=sys.stderr) as bar:
        data = packing.pack(recipe, bar.update)
    write_atomically(output, data)
    summary = {
        "file": str(output), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        "quantization": quantization, "parameters": recipe.parameters, "context_length": recipe.config.context_length,
    }
    click.echo(json.dumps(summary) if as_json else "{file}: {bytes:,} bytes, {parameters:,} parameters, {quantization}"
               .format(**summary))
