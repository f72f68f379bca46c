"""The command `tinypylm`. Each subcommand is the object `command` of its module in `commands/`, imported when named.

An `SlmError` ends any command with `error: <message> [<code>]` on standard error and exit status 1.
"""

from __future__ import annotations

import importlib
from typing import IO, Any

import click

import tinypylm
from tinypylm.errors import SlmError
from tinypylm_tools.terminal import without_controls

COMMANDS = {
    "pack": "Pack a checkpoint into a .slm file: Hugging Face, GGUF, llama2.c.",
    "train": "Train a model on texts, and pack it.",
    "export": "Write a .slm file as a Hugging Face folder or as GGUF; or the page for a static host.",
    "inspect": "Show what a .slm file holds.",
    "verify": "Check a .slm file, and the evidence behind it where there is some.",
    "breed": "Make a model out of others: deltas, masks, merges, crossover.",
    "diff": "Compare the weights of two models, tensor by tensor.",
    "generate": "Continue a prompt.",
    "replay": "Run the generation of a receipt again, and compare.",
    "stories": "Continue fifty beginnings, and count what is a story.",
    "serve": "Serve the page on this machine.",
    "adapter": "Make, import, combine, inspect and apply adapter packages.",
    "logits": "Write the logits of every position of a prompt.",
    "bench": "Measure how fast a model runs here.",
    "candidate": "Write down what a model is and how it came to be.",
    "eval": "Run tasks, safety cases and held-out text on a model.",
    "promote": "Write down what a model's evaluation supports.",
    "admit": "Put a model into the selector, by the steps that lead there.",
    "report": "Write a page with plots on a model and its evidence.",
    "ledger": "Show, check, repair and sign the ledger of all records.",
    "registry": "List what the page offers, and what it does not.",
}
"""Name and one line of help of each subcommand; the module has the same name."""


class Failure(click.ClickException):
    """An SlmError on its way to the terminal."""

    def __init__(self, error: SlmError):
        super().__init__(error.message)
        self.error_code = str(error.code)

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {without_controls(self.message)} [{self.error_code}]", file=file, err=file is None)


class Commands(click.Group):
    """Subcommands by the table above; the one place where an SlmError becomes an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tinypylm_tools.commands.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SlmError as error:
            raise Failure(error) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tinypylm.__version__, prog_name="tinypylm")
def main() -> None:
    """Small language models as sealed .slm files: pack them, look at them, run them.

    \b
    Example:
      tinypylm pack ./checkpoint story.slm --type q8_0
      tinypylm generate story.slm --prompt "Once upon a time"
    """
