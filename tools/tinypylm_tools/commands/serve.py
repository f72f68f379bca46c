"""`tinypylm serve`: the server of serve.py, for whoever has the package and no clone."""

from __future__ import annotations

import sys

import click

from tinypylm_tools.serving import command as serving
from tinypylm_tools.serving.place import place_here


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Serve the page on this machine; the options are those of serve.py, which reads them without any package."""
    sys.exit(serving.main(place_here(), arguments, "tinypylm serve"))
