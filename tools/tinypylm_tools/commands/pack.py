"""`tinypylm pack`: a checkpoint of another program becomes one sealed file."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from tinypylm.config import DType, Role
from tinypylm_tools import packing
from tinypylm_tools.choices import Choices, read_mixed, read_text
from tinypylm_tools.importers.detection import open_source
from tinypylm_tools.importers.source import Source
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waivers, read_waivers
from tinypylm_tools.layer_dropping import read_layers
from tinypylm_tools.slm_writer import write_atomically
from tinypylm_tools.tensor_encoding import TensorError

T = TypeVar("T")
U = TypeVar("U")
_TYPES = {dtype.label: dtype for dtype in DType}
_FILE = click.Path(dir_okay=False, path_type=Path)


def _read(reader: Callable[[T], U]) -> Callable[[click.Context, click.Parameter, T | None], U | None]:
    """A callback that turns an option's value, if it was given, into what `reader` makes of it."""
    return lambda _context, _option, value: None if value is None else reader(value)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=_FILE)
@click.option("--type", "quantization", type=click.Choice(list(_TYPES)), default="q8_0", show_default=True,
              callback=_read(_TYPES.__getitem__), help="How the matrices are stored.")
@click.option("--mixed", metavar="ROLE=TYPE,...", callback=_read(read_mixed),
              help="Another type for the matrices of some roles, such as output=q8_0.")
@click.option("--quantizer", type=click.Choice(["default", "search"]), default="default", show_default=True,
              help="How scales are chosen: by the largest weight, or by search for the least error.")
@click.option("--calibration", metavar="TEXTFILE", type=_FILE, callback=_read(read_text),
              help="With search: weigh errors by what this text multiplies them with.")
@click.option("--context-length", type=int, metavar="N", help="Shorten the context, which takes memory for each token.")
@click.option("--prune-vocab", metavar="TEXTFILE", type=_FILE, callback=_read(read_text),
              help="Keep only the tokens that this text uses, all bytes and special tokens.")
@click.option("--drop-layers", metavar="3,5", callback=_read(read_layers), help="Leave out layers; the first is 0.")
@click.option("--metadata", type=_FILE, help="JSON file with name, description, licence, source, training, chat.")
@click.option("--tokenizer", type=_FILE, help="tokenizer.json, or llama2.c's tokenizer.bin; else the source's own.")
@click.option("--without", metavar="FEATURE,...", callback=_read(read_waivers),
              help="Pack the tokenizer without normalizer (NFC) or added_tokens; ids then differ where they matter.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def command(
    source: Path, output: Path, quantization: DType, mixed: dict[Role, DType] | None, quantizer: str,
    calibration: str | None, context_length: int | None, prune_vocab: str | None, drop_layers: frozenset[int] | None,
    metadata: Path | None, tokenizer: Path | None, without: Waivers | None, as_json: bool,
) -> None:
    """Pack the checkpoint SOURCE into the file OUTPUT.

    SOURCE is a folder in Hugging Face layout, a GGUF file, or a .bin file of llama2.c, with a Llama or GPT-NeoX model.

    \b
    Example:
      tinypylm pack ./checkpoint story.slm --type q4_0 --metadata story.json
      tinypylm pack model.gguf story.slm --prune-vocab stories.txt --drop-layers 3,5
    """
    choices = Choices(quantization, context_length, mixed or {}, quantizer == "search", calibration, prune_vocab,
                      drop_layers or frozenset(), without or NO_WAIVERS)
    described = {} if metadata is None else packing.read_metadata(metadata)
    opened = open_source(source, tokenizer, choices.waivers)
    click.echo(f"Found {opened.found}.", err=True)
    recipe = packing.plan(opened, choices, described)
    with click.progressbar(length=recipe.parameters, label=f"Packing {output.name}", file=sys.stderr) as bar:
        packed = packing.pack(recipe, bar.update)
    write_atomically(output, packed.data)
    _report(output, opened, recipe, packed, as_json)


def _report(output: Path, source: Source, recipe: packing.Recipe, packed: packing.Packed, as_json: bool) -> None:
    config = recipe.config
    summary = {
        "file": str(output), "bytes": len(packed.data), "sha256": hashlib.sha256(packed.data).hexdigest(),
        "source": source.found, "quantization": config.quantization.label, "parameters": recipe.parameters,
        "vocab_size": config.vocab_size, "n_layers": config.n_layers, "context_length": config.context_length,
    }
    if as_json:
        click.echo(json.dumps(summary | {"tensors": [_tensor(error) for error in packed.errors]}))
    else:
        click.echo("{file}: {bytes:,} bytes, {parameters:,} parameters, {quantization}".format(**summary))


def _tensor(error: TensorError) -> dict[str, str | int | float | None]:
    return {"role": error.spec.role.label, "layer": error.spec.layer, "dtype": error.dtype.label,
            "rmse": error.rmse, "max_error": error.max_error}
