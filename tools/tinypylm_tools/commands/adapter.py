"""`tinypylm adapter`: packages that change a base's weights, made, imported, combined, shown and applied to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import click

from tinypylm.adapters.base import DIMENSIONS
from tinypylm.adapters.entries import PackageFormat
from tinypylm.adapters.package import KEEP_ALL_PPM
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.adapters.combine import combine
from tinypylm_tools.adapters.make import Recipe, make, read_roles
from tinypylm_tools.adapters.materialise import materialise
from tinypylm_tools.adapters.package_file import PackageFile, open_package, read_scaled
from tinypylm_tools.adapters.peft_folder import import_peft
from tinypylm_tools.model_file import open_model
from tinypylm_tools.slm_writer import write_atomically

_PATH = click.Path(path_type=Path)
_DEFAULT_RANK = 8
_FORMATS = click.Choice([kind.lower() for kind in PackageFormat])
Json = dict[str, "Json"] | list["Json"] | str | int | float | None


@click.group()
def command() -> None:
    """Packages that change the weights of one base: dense (ADP1), sparse (ASP1) or of low rank (ALR1).

    \b
    Example:
      tinypylm adapter make --base story.slm --child tuned.slm --format asp1 --keep-ppm 20000 --out tuned.asp1
      tinypylm generate story.slm --prompt "Once upon a time" --adapter tuned.asp1
    """


@command.command("make")
@click.option("--base", required=True, type=_PATH, help="The model that the package will be for.")
@click.option("--child", required=True, type=_PATH, help="A model with the same configuration and other weights.")
@click.option("--format", "kind", required=True, type=_FORMATS, help="All differences, the largest, or factors.")
@click.option("--keep-ppm", type=click.IntRange(1, KEEP_ALL_PPM), default=None, show_default="all",
              help="asp1: keep so many of a million weights of each tensor.")
@click.option("--rank", type=click.IntRange(min=1), default=None, show_default=str(_DEFAULT_RANK),
              help="alr1: the rank of the factors.")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Only tensors of this role; may be repeated.")
@click.option("--out", required=True, type=_PATH, help="Where to write the package.")
def make_command(
    base: Path, child: Path, kind: str, keep_ppm: int | None, rank: int | None, roles: tuple[str, ...], out: Path
) -> None:
    """Write the difference of two models as a package.

    \b
    Example:
      tinypylm adapter make --base story.slm --child tuned.slm --format alr1 --rank 4 --role wq --role wv --out t.alr1
    """
    chosen = PackageFormat(kind.upper())
    _refuse_useless("--keep-ppm", keep_ppm, chosen, PackageFormat.ASP1)
    _refuse_useless("--rank", rank, chosen, PackageFormat.ALR1)
    made = make(open_model(base), open_model(child),
                Recipe(chosen, keep_ppm or KEEP_ALL_PPM, rank or _DEFAULT_RANK, read_roles(roles)))
    write_atomically(out, made.data)
    held = made.differing - len(made.left_out)
    click.echo(f"{out}: {len(made.data):,} bytes; {held} of the {made.differing} tensors that differ, of which "
               f"{made.exact} will have exactly the child's bytes")
    if made.left_out:
        click.echo(f"left out: {', '.join(made.left_out)}", err=True)


def _refuse_useless(option: str, value: int | None, kind: PackageFormat, needed: PackageFormat) -> None:
    if value is not None and kind is not needed:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{option} was given, for which {kind} has no use; expected "
                        f"--format {needed.lower()} with it.")


@command.command("import")
@click.argument("folder", type=_PATH)
@click.option("--base", required=True, type=_PATH, help="The packed base of the LoRA.")
@click.option("--out", required=True, type=_PATH, help="Where to write the ALR1.")
def import_command(folder: Path, base: Path, out: Path) -> None:
    """Convert the LoRA that PEFT saved in FOLDER. What an ALR1 cannot say is refused with its reason.

    \b
    Example:
      tinypylm adapter import ./my-lora --base story.slm --out my-lora.alr1
    """
    imported = import_peft(folder, open_model(base))
    write_atomically(out, imported.data)
    click.echo(f"{out}: {len(imported.data):,} bytes from {len(imported.modules)} modules")


@command.command("combine")
@click.argument("packages", nargs=-1, required=True, type=_PATH)
@click.option("--weights", required=True, metavar="W1,W2,..", help="One number for each package.")
@click.option("--out", required=True, type=_PATH, help="Where to write the package.")
def combine_command(packages: tuple[Path, ...], weights: str, out: Path) -> None:
    """Add packages of one format up. ALR1 factors are put side by side, deltas are added.

    \b
    Example:
      tinypylm adapter combine pirate.alr1 brief.alr1 --weights 1,0.5 --out both.alr1
    """
    combined = combine([open_package(path) for path in packages], _numbers(weights))
    write_atomically(out, combined.data)
    exactness = f"{combined.rounded:,} numbers were rounded to f32" if combined.rounded else "the sum is exact"
    click.echo(f"{out}: {len(combined.data):,} bytes; {exactness}")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"--weights is {text!r}; expected numbers with commas between them, "
                        "such as 1,0.5.", {"found": text}) from None


@command.command("apply")
@click.argument("base", type=_PATH)
@click.argument("adapters", nargs=-1, required=True, metavar="ADAPTER[:SCALE]...")
@click.option("--out", required=True, type=_PATH, help="Where to write the changed model.")
def apply_command(base: Path, adapters: tuple[str, ...], out: Path) -> None:
    """Write the model that BASE becomes with a stack of packages, as a file of its own.

    \b
    Example:
      tinypylm adapter apply story.slm tuned.asp1 brief.alr1:0.5 --out story-tuned.slm
    """
    named = [read_scaled(adapter) for adapter in adapters]
    files = [open_package(path) for path, _ in named]
    stack = [(file.package, scale) for file, (_, scale) in zip(files, named, strict=True)]
    data = materialise(open_model(base), stack, [file.sha256 for file in files])
    write_atomically(out, data)
    click.echo(f"{out}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


@command.command("inspect")
@click.argument("package", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print everything but the values as one JSON object.")
def inspect_command(package: Path, as_json: bool) -> None:
    """Show what the file PACKAGE holds: its base, its scale, its entries.

    \b
    Example:
      tinypylm adapter inspect tuned.asp1
    """
    file = open_package(package)
    click.echo(json.dumps(description(file)) if as_json else "\n".join(_lines(file)))


def description(file: PackageFile) -> dict[str, Json]:
    """Everything about the package but its values, as JSON."""
    package, base = file.package, file.package.base
    return {
        "file": str(file.path), "format": package.format, "bytes": package.package_bytes, "sha256": file.sha256,
        "checksum": f"{package.checksum:08x}", "scale": package.scale, "keep_ppm": package.keep_ppm,
        "base": {
            "sha256": base.sha256.hex(), "layout_checksum": f"{base.layout_checksum:08x}",
            "tokenizer_checksum": f"{base.tokenizer_checksum:08x}", "tensor_count": base.tensor_count,
            **dict(zip(DIMENSIONS, base.dimensions, strict=True)),
        },
        "entries": [{
            "role": entry.role.label, "layer": entry.layer, "shape": [entry.rows, entry.columns], "rank": entry.rank,
            "count": entry.count, "bytes": len(entry.payload)} for entry in package.entries],
    }


def _lines(file: PackageFile) -> Iterator[str]:
    package, base = file.package, file.package.base
    yield f"{file.path}: {package.format}, {package.package_bytes:,} bytes, sha256 {file.sha256}"
    kept = f", keeps {package.keep_ppm:,} of a million" if package.keep_ppm else ""
    yield f"scale {package.scale:g}{kept}"
    yield f"for the base {base.sha256.hex()}, of {base.tensor_count} tensors"
    yield f"{', '.join(f'{name} {value}' for name, value in zip(DIMENSIONS, base.dimensions, strict=True))}"
    yield ""
    yield f"{'tensor':26} {'shape':>14} {'rank':>5} {'values':>10} {'bytes':>10}"
    for entry in package.entries:
        shape = f"{entry.rows} x {entry.columns}"
        yield f"{entry.name:26} {shape:>14} {entry.rank:>5} {entry.count:>10} {len(entry.payload):>10}"
