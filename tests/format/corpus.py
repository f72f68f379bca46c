"""tests/corrupt/: a file for each way to break a rule. `python -m tests.format.corpus` writes them, byte for byte.

Other readers of the format can be run over it: index.json says for each file name, without `.slm`, the code it gets.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.format.broken_files import broken_files
from tinypylm import canonical
from tinypylm.errors import FormatError
from tinypylm.format import HEADER_BYTES, FormatCode, parse_header

FOLDER = Path(__file__).resolve().parents[1] / "corrupt"
INDEX = "index.json"
SUFFIX = ".slm"


def corpus() -> dict[str, tuple[FormatCode, bytes]]:
    """Name to code and bytes. What the header alone breaks is a header alone: nobody reads on."""
    return {
        _name(what): (code, data if _has_sound_header(data) else data[:HEADER_BYTES])
        for what, code, data in broken_files()}


def index(files: dict[str, tuple[FormatCode, bytes]]) -> bytes:
    """Name to code, as canonical JSON."""
    return canonical.dumps({name: str(code) for name, (code, _) in files.items()})


def write(folder: Path) -> None:
    """The folder then holds the corpus and nothing else."""
    files = corpus()
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"*{SUFFIX}"):
        old.unlink()
    for name, (_, data) in files.items():
        (folder / f"{name}{SUFFIX}").write_bytes(data)
    (folder / INDEX).write_bytes(index(files))


def _name(what: str) -> str:
    """`minus_zero`: a file name on every system, and a key of canonical JSON."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r" -\b", " minus ", what.lower())).strip("_")


def _has_sound_header(data: bytes) -> bool:
    try:
        parse_header(data)
    except FormatError:
        return False
    return True


if __name__ == "__main__":
    write(FOLDER)
