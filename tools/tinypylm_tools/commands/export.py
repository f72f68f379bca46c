"""`tinypylm export`: the model of a sealed file, or the evidence behind it, for other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tinypylm_tools.exporters.evidence_views import export_view
from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.model_file import ModelFile, open_model

_EXPORTERS: dict[str, Callable[[ModelFile, Path], None]] = {"hf": export_folder, "gguf": export_gguf}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", "target", type=(click.Choice(list(_EXPORTERS)), click.Path(path_type=Path)),
              metavar="hf FOLDER | gguf FILE", help="What to write, and where.")
@click.option("--slsa", type=_FILE, metavar="FILE", help="How it was made, as SLSA provenance 1.0.")
@click.option("--in-toto", type=_FILE, metavar="FILE", help="Its records, as an in-toto statement.")
@click.option("--cyclonedx", type=_FILE, metavar="FILE", help="What it is made of, as a CycloneDX 1.7 bill.")
def command(
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
