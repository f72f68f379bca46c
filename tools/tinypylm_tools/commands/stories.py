"""`tinypylm stories`: how many of fifty continuations are stories, and some of them to read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from tinypylm.hosts.native import NativeHost
from tinypylm.provenance.statistics import PPM, wilson_ppm
from tinypylm.session import Session
from tinypylm_tools.model_file import read_model
from tinypylm_tools.storytelling import Story, read_beginnings, stories
from tinypylm_tools.terminal import say

BEGINNINGS = Path(__file__).parents[3] / "training" / "beginnings.txt"
_QUESTIONS = {
    "ends": "end by themselves, with a sentence", "stays": "name their character in the second half",
    "moves_on": "do not say eight words in a row twice", "is_sound": "all three",
}


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--beginnings", type=click.Path(dir_okay=False, path_type=Path), default=BEGINNINGS,
              help="Lines of `Character: beginning`; default: the fifty of training/beginnings.txt.")
@click.option("--show", type=click.IntRange(min=0), multiple=True, metavar="INDEX",
              help="Print the story of this beginning, counted from 0; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print every story and its answers as one JSON object.")
def command(model: Path, beginnings: Path, show: tuple[int, ...], as_json: bool) -> None:
    """Continue beginnings of stories with MODEL, and count what becomes of them.

    Each is continued to its end with the default options and its index as the seed, so everyone gets the same stories.
    Choose those to read by their index before you read them.

    \b
    Example:
      tinypylm stories models/storyteller-2m-q8_0.slm --show 10 --show 20
    """
    session = Session(NativeHost())
    session.load(read_model(model))
    told = list(stories(session, read_beginnings(beginnings)))
    if as_json:
        click.echo(json.dumps({"counts": _counts(told), "stories": [asdict(story) for story in told]}))
        return
    for question, passed in _counts(told).items():
        low, high = (100 * bound / PPM for bound in wilson_ppm(passed, len(told)))
        click.echo(f"{passed:3} of {len(told)} {_QUESTIONS[question]} ({low:.0f} to {high:.0f} %)")
    for index in show:
        _print(index, told)


def _counts(told: list[Story]) -> dict[str, int]:
    return {question: sum(getattr(story, question) for story in told) for question in _QUESTIONS}


def _print(index: int, told: list[Story]) -> None:
    if index >= len(told):
        raise click.BadParameter(f"there is no story {index}; the last one is {len(told) - 1}", param_hint="--show")
    story = told[index]
    missed = [_QUESTIONS[question] for question in ("ends", "stays", "moves_on") if not getattr(story, question)]
    say(f"\n[{index}] {story.beginning.text}{story.text}")
    for question in missed:
        click.echo(f"    not so: {question}")
