"""Ledger and registry on disk: crashes between two writes, two writers, and damage that nothing may paper over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.evidence.workplace import snapshot
from tests.little_room import little_room
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, SlmError, ToolError
from tinypylm.provenance import ledger
from tinypylm_tools.evidence.book import Book, Line, Repaired
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import verify

BODY = "ef" * 32
LINE = Line("candidate", "x", BODY)

WRITER = """
import sys
from pathlib import Path
from tinypylm_tools.evidence.book import Book, Line
from tinypylm_tools.evidence.folder import Folder
for index in range(15):
    Book(Folder(Path(sys.argv[1]))).append(Line("candidate", sys.argv[2] + str(index), "00" * 32))
"""


def test_the_first_line_makes_ledger_and_registry(tmp_path: Path) -> None:
    book = Book(Folder(tmp_path / "models"), lambda: "2026-01-01T00:00:00Z")
    assert book.append(LINE).seq == 0
    assert (book.folder.registry.exists(), book.entries()) == (True, [])
    assert book.verified().entries[0] == ledger.Entry(0, "0" * 64, "candidate", "x", BODY, "2026-01-01T00:00:00Z")


def test_two_writers_at_once_lose_no_line(folder: Folder) -> None:
    before = len(Book(folder).verified().entries)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(folder.root), name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    names = [entry.name for entry in Book(folder).verified().entries[before:]]
    assert sorted(names) == sorted(f"{name}{index}" for name in "ab" for index in range(15))
    assert verify(folder, "tiny")


def test_a_torn_last_line_stops_every_writer_until_it_is_repaired(folder: Folder) -> None:
    with folder.ledger.open("ab") as file:
        file.write(b'{"body":"00')
    before = snapshot(folder.root)
    with pytest.raises(ProvenanceError) as refused:
        Book(folder).append(LINE)
    assert (refused.value.code, snapshot(folder.root)) == ("LedgerTorn", before)
    with pytest.raises(ProvenanceError, match="ledger: the ledger's last line is not whole"):
        verify(folder, "tiny")
    assert Book(folder).repair() == Repaired(11, 0)
    assert Book(folder).verified().entries[-1].kind == "repair"
    assert verify(folder, "tiny")


def test_a_line_that_finds_no_room_is_an_error_and_can_be_repaired(folder: Folder) -> None:
    with little_room(folder.ledger.stat().st_size + 10), pytest.raises(ToolError, match="cannot be written") as refused:
        Book(folder).append(LINE)
    assert refused.value.code is ErrorCode.UNWRITABLE_FILE
    assert Book(folder).repair() == Repaired(10, 0)
    assert verify(folder, "tiny")


def test_a_line_that_a_crash_left_without_its_pin_is_kept_by_a_repair(folder: Folder) -> None:
    entry = Book(folder).verified().following("candidate", "x", BODY, "2026-01-01T00:00:00Z")
    with folder.ledger.open("ab") as file:
        file.write(entry.line() + b"\n")
    with pytest.raises(ProvenanceError, match="the registry pins"):
        Book(folder).append(LINE)
    assert Book(folder).repair() == Repaired(0, 1)
    assert [line.kind for line in Book(folder).verified().entries[-2:]] == ["candidate", "repair"]


@pytest.mark.parametrize("damage", ["cut", "restamped", "emptied"])
def test_a_repair_never_touches_what_is_pinned(folder: Folder, damage: str) -> None:
    data = folder.ledger.read_bytes()
    cut, restamped = data[: data[:-1].rfind(b"\n") + 1], data.replace(b"2026", b"2025", 1)
    folder.ledger.write_bytes({"cut": cut, "restamped": restamped, "emptied": b""}[damage])
    before = snapshot(folder.root)
    with pytest.raises(ProvenanceError) as refused:
        Book(folder).repair()
    assert (refused.value.code, snapshot(folder.root)) == ("LedgerRejected", before)


def test_a_sound_ledger_has_nothing_to_repair(folder: Folder) -> None:
    with pytest.raises(ProvenanceError, match="nothing to repair"):
        Book(folder).repair()


def test_a_ledger_whose_registry_is_gone_is_not_taken_for_an_empty_one(folder: Folder) -> None:
    folder.registry.unlink()
    with pytest.raises(ProvenanceError, match="no registry that pins it"):
        Book(folder).append(LINE)


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(SlmError) as refused:
        Book(Folder(tmp_path / "models")).append(LINE)
    assert refused.value.code == "UnwritableFile"


def test_a_writer_that_dies_between_line_and_registry_leaves_the_old_registry_whole(folder: Folder) -> None:
    book, before = Book(folder), folder.registry.read_bytes()

    def power_failure(entries: list[JsonObject]) -> list[JsonObject]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.append(LINE, power_failure)
    assert folder.registry.read_bytes() == before
    assert not list(folder.root.glob(".selector*"))
    assert verify(folder, "tiny")
