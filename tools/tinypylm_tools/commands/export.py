"""`tinypylm export`: the model of a sealed file for other programs, so that what it computes can be checked there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.model_file import ModelFile, open_model

_EXPORTERS: dict[str, Callable[[ModelFile, Path], None]] = {"hf": export_folder, "gguf": export_gguf}


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, type=(click.Choice(list(_EXPORTERS)), click.Path(path_type=Path)),
              metavar="hf FOLDER | gguf FILE", help="What to write, and where.")
def command(model: Path, target: tuple[str, Path]) -> None:
    """Write the model in the file MODEL in another program's format.

    hf: config.json, model.safetensors in f32, tokenizer.json. gguf: a file of llama.cpp in the model's own types.

    \b
    Example:
      tinypylm export story.slm --to hf ./checkpoint
      tinypylm export story.slm --to gguf story.gguf
    """
    kind, path = target
    _EXPORTERS[kind](open_model(model), path)
    size = sum(part.stat().st_size for part in (path.iterdir() if path.is_dir() else [path]))
    click.echo(f"{path}: {size:,} bytes")
