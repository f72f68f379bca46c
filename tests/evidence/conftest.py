"""A small folder of models that went the whole way, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.evidence.workplace import TICK, admit_fixture, admit_stacked, write_suites
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder


@pytest.fixture(scope="session")
def admitted(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """Models `tiny` and `other`, and `stacked`: `tiny` with two adapters. Not to be changed."""
    root = tmp_path_factory.mktemp("models")
    write_suites(root)
    book = Book(Folder(root), TICK)
    for name, file in (("tiny", "tiny-test-model-q4_0.slm"), ("other", "tiny-test-model-q8_0.slm")):
        shutil.copy(repo_root / "models" / "fixtures" / file, root / f"{name}.slm")
        admit_fixture(book, name)
    admit_stacked(book)
    return root


@pytest.fixture
def folder(admitted: Path, tmp_path: Path) -> Folder:
    """A copy of `admitted` to be damaged."""
    shutil.copytree(admitted, tmp_path / "models")
    return Folder(tmp_path / "models")
