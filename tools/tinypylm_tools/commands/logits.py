"""`tinypylm logits`: what the engine computes, as a NumPy file, to be compared with other implementations."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.scoring import checked_ids, logit_rows, open_engine
from tinypylm_tools.slm_writer import write_atomically


class Ids(click.ParamType[tuple[int, ...]]):
    """Token ids with commas between them."""

    name = "ids"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers with commas between them, such as 1,2,3", param, ctx)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--prompt", metavar="TEXT", help="The text whose tokens are run, bos in front if the model has one.")
@click.option("--ids", type=Ids(), metavar="1,2,3", help="The token ids to run, exactly these.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npy",
              help="Where to write float32[tokens, vocab_size].")
def command(model: Path, prompt: str | None, ids: tuple[int, ...] | None, out: Path) -> None:
    """Write the logits of every position of a prompt for the model in the file MODEL.

    Row i holds the logits of the token that follows ids 0 to i, before temperature and penalty.

    \b
    Example:
      tinypylm logits story.slm --prompt "Once upon a time" --out logits.npy
      tinypylm logits story.slm --ids 1,2,3 --out logits.npy
    """
    if (prompt is None) == (ids is None):
        raise click.UsageError("Give either --prompt or --ids.")
    if prompt == "":
        raise ToolError(ErrorCode.EMPTY_PROMPT, "the prompt is empty; write something")
    if not out.parent.is_dir():
        raise ToolError(ErrorCode.MISSING_FILE, f"there is no folder {out.parent}; make it, or choose another --out")
    engine, tokenizer = open_engine(model)
    tokens = ids if ids is not None else tokenizer.encode(prompt or "")
    write_atomically(out, npy_bytes(engine, checked_ids(engine, tokens)))
    click.echo(f"{out}: float32[{len(tokens)}, {engine.config.vocab_size}]")


def npy_bytes(engine: Engine, ids: Sequence[int]) -> bytes:
    """The rows as the bytes of a .npy file, with progress on standard error."""
    with click.progressbar(logit_rows(engine, ids), length=len(ids), label="Computing logits", file=sys.stderr) as rows:
        table = np.stack(list(rows))
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()
