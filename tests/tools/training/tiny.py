"""A run that takes a second: documents, a description of a tiny model, a folder with both, and the command."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from tinypylm_tools.cli import main
from tinypylm_tools.training.places import Places

LLAMA = """\
family = "llama"
vocab_size = 300
hidden_size = 64
layers = 2
heads = 4
kv_heads = 2
ffn_size = 96
context_length = 48
"""
NEOX = LLAMA.replace('"llama"', '"gpt_neox"').replace("kv_heads = 2", "kv_heads = 4") + "rotary_share = 0.5\n"

TRAINING = """\
tokens_per_batch = 256
learning_rate = 1e-2
dropout = 0.1
precision = "f32"
evaluate_every = 15
"""

SCHEDULE = "steps = 30\nwarmup_steps = 4\n"

CARD = 'name = "Tiny"\ndescription = "Counts."\nlicence = "MIT"\nsource = "Made up for a test"\n'

_ANIMALS = ["cat", "dog", "hen", "fox", "owl", "pig", "bee", "ant", "cow", "rat", "elk", "emu"]
_PLACES = ["barn", "wood", "lake", "hill", "farm", "road", "cave", "roof"]


def documents() -> list[str]:
    """96 short ones, of which the rule holds some out."""
    return [f"The {animal} went to the {place}. There it met {number + 2} friends and said: hello!"
            for number, animal in enumerate(_ANIMALS) for place in _PLACES]


def description(model: str = LLAMA, training: str = TRAINING, schedule: str = SCHEDULE, more: str = "") -> str:
    """The TOML text of a run on texts.txt; `model` "" means none."""
    section = f"[model]\n{model}\n" if model else ""
    return (f'name = "tiny"\nseed = 5\n{more}\n[data]\ntexts = ["texts.txt"]\n\n{section}[training]\n{training}\n'
            f"[schedule]\n{schedule}\n[card]\n{CARD}")


def make_places(folder: Path, text: str, run: str = "run", parent: Path | None = None) -> Places:
    """`folder` with the documents and a description; the run's own folder in it is called `run`."""
    (folder / "texts.txt").write_text("\n<|endoftext|>\n".join(documents()), encoding="utf-8")
    (folder / f"{run}.toml").write_text(text, encoding="utf-8")
    return Places(folder / f"{run}.toml", folder, folder / run, parent)


def invoke(*arguments: str | Path) -> Result:
    """The command `tinypylm`."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def train(places: Places, *options: str | Path) -> Result:
    return invoke("train", places.description, places.folder, "--data", places.data, "--threads", "1", *options)
