"""Where a fuzzer starts: valid files, and those of tests/corrupt/, for each target the part that it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.adapters.broken_packages import broken_packages, dense, low_rank, package, sparse
from tests.format.broken_files import broken_files
from tests.format.mutations import BASES
from tinypylm.errors import FormatError
from tinypylm.format import Header, parse_header


def seeds(target: str) -> list[bytes]:
    """Inputs for a target of `tests.fuzz.targets`."""
    files = [*BASES, *(data for _, _, data in broken_files())]
    if target == "model":
        return files
    if target == "adapter":
        valid = [package(change) for change in (dense(), sparse(), low_rank())]
        return [*valid, *(data for _, _, data in broken_packages())]
    sections = [
        data[header.tokenizer_offset : header.tokenizer_end] if target == "vocabulary"
        else data[header.metadata_offset : header.metadata_end]
        for header, data in _with_sound_header(files)]
    return sorted({section for section in sections if section})


def write_seeds(target: str, folder: Path) -> None:
    """One file for each seed, named by its digest; what a fuzzer found before stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(target):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def _with_sound_header(files: list[bytes]) -> Iterator[tuple[Header, bytes]]:
    for data in files:
        try:
            yield parse_header(data), data
        except FormatError:
            continue
