"""`tinypylm export`: a model, or the evidence behind it, for other programs; page and models for a static host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tinypylm_tools.exporters.evidence_views import export_view
from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.serving.place import place_here
from tinypylm_tools.serving.site import write_site
from tinypylm_tools.serving.terminal import Terminal
from tinypylm_tools.serving.vendor import complete

_EXPORTERS: dict[str, Callable[[ModelFile, Path], None]] = {"hf": export_folder, "gguf": export_gguf}
_FILE = click.Path(dir_okay=False, path_type=Path)
_DEFAULT = "model"


class _Forms(click.Group):
    """Without a form's name, what stands there is a model file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = not args or args[0] in self.commands or args[0] in ctx.help_option_names
        return super().parse_args(ctx, args if named else [_DEFAULT, *args])


@click.group(cls=_Forms)
def command() -> None:
    """Write a model, or the evidence behind it, for other programs; or page and models for a static host.

    `tinypylm export MODEL` is short for `tinypylm export model MODEL`.

    \b
    Example:
      tinypylm export story.slm --to gguf story.gguf
      tinypylm export site ./public --model storyteller-2m-q8_0
    """


@command.command(_DEFAULT)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", "target", type=(click.Choice(list(_EXPORTERS)), click.Path(path_type=Path)),
              metavar="hf FOLDER | gguf FILE", help="What to write, and where.")
@click.option("--slsa", type=_FILE, metavar="FILE", help="How it was made, as SLSA provenance 1.0.")
@click.option("--in-toto", type=_FILE, metavar="FILE", help="Its records, as an in-toto statement.")
@click.option("--cyclonedx", type=_FILE, metavar="FILE", help="What it is made of, as a CycloneDX 1.7 bill.")
def _model(
    model: Path, target: tuple[str, Path] | None, slsa: Path | None, in_toto: Path | None, cyclonedx: Path | None
) -> None:
    """Write the model in the file MODEL in another program's format, or the evidence behind it in another's words.

    hf: config.json, model.safetensors in f32, tokenizer.json. gguf: a file of llama.cpp in the model's own types.
    Evidence is what lies in evidence/ beside the file.

    \b
    Example:
      tinypylm export story.slm --to hf ./checkpoint
      tinypylm export story.slm --to gguf story.gguf
      tinypylm export models/story.slm --slsa provenance.json --cyclonedx bill.json
    """
    views = {kind: path for kind, path in (("slsa", slsa), ("in-toto", in_toto), ("cyclonedx", cyclonedx)) if path}
    if target is None and not views:
        raise click.UsageError("Name what to write: --to, --slsa, --in-toto or --cyclonedx.")
    file, written = open_model(model), [*views.values()]
    for kind, path in views.items():
        export_view(kind, file, path)
    if target is not None:
        _EXPORTERS[target[0]](file, target[1])
        written.append(target[1])
    for path in written:
        size = sum(part.stat().st_size for part in (path.iterdir() if path.is_dir() else [path]))
        click.echo(f"{path}: {size:,} bytes")


@command.command("site")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", "names", multiple=True, metavar="NAME",
              help="Offer this entry of the registry; may be repeated. Without it, all that the page offers.")
@click.option("--models", type=click.Path(file_okay=False, path_type=Path),
              help="Take the models of this folder instead of those that came with the page.")
@click.option("--replace", is_flag=True, help="Exchange a site that was exported to FOLDER before.")
def _site(folder: Path, names: tuple[str, ...], models: Path | None, replace: bool) -> None:
    """Write the page, the runtime, Pyodide and models to FOLDER, as plain files for any static host and path.

    Each model comes with its evidence, which is verified first, and the registry is cut down to the chosen entries.
    The file _headers has what serve.py would send; docs/hosting.md says what hosts must send.

    \b
    Example:
      tinypylm export site ./public
      tinypylm export site ./public --model storyteller-2m-q8_0 --replace
    """
    place = place_here() if models is None else place_here().with_models(models)
    complete(place, Terminal())
    written = write_site(place, folder, names, replace=replace)
    click.echo(f"{folder}: {written.files} files, {written.size_bytes:,} bytes, {', '.join(written.models)}")
