"""tests/corrupt_adapters/: a package for each way to break a rule, and their base.

`python -m tests.adapters.corpus` writes them, byte for byte. index.json says for each file name, without `.adapter`,
the code that it gets against base.slm.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.adapters.broken_packages import BASE, broken_packages
from tinypylm import canonical
from tinypylm.adapters.codes import AdapterCode

FOLDER = Path(__file__).resolve().parents[1] / "corrupt_adapters"
INDEX, BASE_NAME, SUFFIX = "index.json", "base.slm", ".adapter"


def corpus() -> dict[str, tuple[AdapterCode, bytes]]:
    """Name to code and bytes."""
    return {_name(what): (code, data) for what, code, data in broken_packages()}


def contents() -> dict[str, bytes]:
    """File name to bytes of the whole folder."""
    files = corpus()
    index = canonical.dumps({name: str(code) for name, (code, _) in files.items()})
    return {INDEX: index, BASE_NAME: BASE.data, **{name + SUFFIX: data for name, (_, data) in files.items()}}


def write(folder: Path) -> None:
    """The folder then holds the corpus and nothing else."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, data in contents().items():
        (folder / name).write_bytes(data)


def _name(what: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r" -(?=\w)", " minus ", what.lower())).strip("_")


if __name__ == "__main__":
    write(FOLDER)
