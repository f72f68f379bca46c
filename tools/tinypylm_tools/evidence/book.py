"""The ledger and the registry that pins it, changed together under one lock.

An append is: lock, check that the ledger is what the registry pins, write one line, flush, fsync, replace the registry.
A crash in between leaves a line that is not pinned, or a part of one: the next append refuses, and `repair` decides.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance import ledger, records
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.ledger import Entry, Ledger
from tinypylm.provenance.records import VERSION, RecordKind
from tinypylm.provenance.registry import LEDGER_PATH
from tinypylm.provenance.schema import fields, items, number
from tinypylm_tools.evidence.folder import Folder, load_record
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.serving.exclusive import only_one
from tinypylm_tools.slm_writer import write_atomically

Clock = Callable[[], str]
Change = Callable[[list[JsonObject]], list[JsonObject]]
"""The registry's entries as they are to what they shall be."""


def utc_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Line:
    """What a new line of the ledger says."""

    kind: str
    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did: bytes of a torn line that were cut off, whole lines that were not pinned before."""

    cut_bytes: int
    adopted: int


class Book:
    """The ledger and the registry of a folder."""

    def __init__(self, folder: Folder, clock: Clock = utc_now):
        self.folder, self._clock = folder, clock

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder's lock, waiting for whoever has it."""
        lock = self.folder.root / f".{LEDGER_PATH}.lock"
        try:
            self.folder.root.mkdir(exist_ok=True)
            lock.touch()
        except OSError as error:
            raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{lock} cannot be written ({error.strerror}).",
                            {"file": str(lock)}) from error
        with only_one(lock, lambda: None):
            yield

    def registry(self) -> JsonObject | None:
        """The registry, or None before the first line of the ledger."""
        return load_record(self.folder.registry, RecordKind.REGISTRY) if self.folder.registry.exists() else None

    def entries(self) -> list[JsonObject]:
        """The registry's entries."""
        registry = self.registry()
        return [fields(entry) for entry in items(registry["models"])] if registry else []

    def verified(self) -> Ledger:
        """The ledger, which is the one that the registry pins. Raises ProvenanceError."""
        registry = self.registry()
        if registry is None:
            if self.folder.ledger.exists():
                raise ledger.refusal(f"there is {self.folder.ledger}, but no registry that pins it; bring the registry "
                                     "back, or run `tinypylm ledger repair` to accept the ledger as it is", {})
            return ledger.read(b"")
        book = ledger.read(read_file(self.folder.ledger))
        ledger.check_pin(book, fields(registry["ledger"]))
        return book

    def append(self, line: Line, change: Change = lambda entries: entries) -> Entry:
        """Adds a line and replaces the registry, whose entries are changed in the same step. Raises ProvenanceError."""
        with self.locked():
            return self.append_locked(line, change)

    def append_locked(self, line: Line, change: Change = lambda entries: entries) -> Entry:
        """`append`, by a caller that holds the lock."""
        entry = self.verified().following(line.kind, line.name, line.body, self._clock())
        entries = change(self.entries())
        self._write(entry.line() + b"\n")
        self.replace_registry(entries)
        return entry

    def replace_registry(self, entries: list[JsonObject]) -> None:
        """Writes the registry with these entries, pinning the ledger as it is now."""
        data = read_file(self.folder.ledger)
        book = ledger.read(data)
        body: JsonObject = {
            "kind": RecordKind.REGISTRY, "version": VERSION,
            "models": [*sorted(entries, key=lambda entry: str(entry["id"]))],
            "ledger": {"path": LEDGER_PATH, "bytes": book.size_bytes, "entries": len(book.entries),
                       "head": book.head},
        }
        write_atomically(self.folder.registry, records.dump(RecordKind.REGISTRY, body))

    def repair(self) -> Repaired:
        """Cuts off a torn last line, then pins the ledger as it is, and writes down that it was repaired.

        Only what came behind the pinned part is touched: raises ProvenanceError where that part itself is damaged, and
        where there is nothing to repair.
        """
        with self.locked():
            data, registry = read_file(self.folder.ledger), self.registry()
            whole = data.rfind(b"\n") + 1
            book = ledger.read(data[:whole])
            pin = fields(registry["ledger"]) if registry else None
            pinned = number(pin["entries"]) if pin else 0
            if pin:
                _check_prefix(data, pin)
            adopted = len(book.entries) - pinned
            if whole == len(data) and registry and not adopted:
                raise ledger.refusal("there is nothing to repair: it is whole, and as the registry pins it", {})
            torn = data[whole:]
            self._cut(whole)
            self._write(book.following("repair", "ledger", hashlib.sha256(torn).hexdigest(), self._clock()).line()
                        + b"\n")
            self.replace_registry(self.entries())
            return Repaired(len(torn), adopted)

    def _cut(self, size: int) -> None:
        with _writing(self.folder.ledger, "r+b") as file:
            os.ftruncate(file, size)

    def _write(self, line: bytes) -> None:
        with _writing(self.folder.ledger, "ab") as file:
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def _writing(path: Path, mode: str) -> Iterator[int]:
    """A descriptor, synchronised at the end. Raises ToolError."""
    try:
        with path.open(mode, buffering=0) as file:
            yield file.fileno()
            os.fsync(file.fileno())
    except OSError as error:
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{path} cannot be written ({error.strerror}).",
                        {"file": str(path)}) from error


def _check_prefix(data: bytes, pin: JsonObject) -> None:
    """The pinned part of the ledger is still there, to the byte."""
    prefix = data[: number(pin["bytes"])]
    try:
        ledger.check_pin(ledger.read(prefix), pin)
    except ProvenanceError as error:
        raise ProvenanceError(
            ProvenanceCode.LEDGER_REJECTED, "the part of the ledger that the registry pins is itself damaged, which no "
            f"repair can mend: {error.message}. Bring ledger and registry back from a copy.", error.detail) from error
