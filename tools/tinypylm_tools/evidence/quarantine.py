"""Quarantine: what drifted is moved aside with a record, and the registry's entry is disabled. Nothing is deleted."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.records import VERSION, RecordKind, identifier
from tinypylm.provenance.registry import path_of
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.book import Book, Line
from tinypylm_tools.evidence.folder import Folder, load_record, save_record
from tinypylm_tools.file_bytes import read_file

_ROOTS = ("registry", "ledger")
"""What no quarantine can set aside: without them nothing can be written down."""

_BLAMED = {"replay": "receipt"}
"""Which record is set aside for a step that has none of its own."""


def quarantine(book: Book, name: str, error: ProvenanceError) -> Path:
    """Sets aside what `error` was raised for; the folder that now holds it, with `quarantine.json`.

    These are the planned files whose bytes are no longer those of their pins; where all are, the record of the step
    that failed. Raises ProvenanceError where registry or ledger themselves are damaged.
    """
    folder, step = book.folder, str(error.detail.get("step", ""))
    if step in _ROOTS:
        raise error
    with book.locked():
        book.verified()
        drifted = _drifted(folder, name, step)
        place = _new_place(folder, name)
        moved = [_move(folder, path, place) for path in drifted]
        body: JsonObject = {
            "kind": RecordKind.QUARANTINE, "version": VERSION, "name": name, "step": step or "unknown",
            "code": str(error.code), "reason": error.message[:2000], "moved": [*moved]}
        save_record(place / "quarantine.json", RecordKind.QUARANTINE, body)
        digest = identifier(RecordKind.QUARANTINE, body)

        def disable(entries: list[JsonObject]) -> list[JsonObject]:
            return [entry | {"enabled": False, "quarantine": digest} if entry["id"] == name else entry
                    for entry in entries]
        book.append_locked(Line("quarantine", name, digest), disable)
    return place


def _drifted(folder: Folder, name: str, step: str) -> list[str]:
    """Paths under the folder that exist and are to be moved."""
    entry = next(one for one in Book(folder).entries() if one["id"] == name)
    pins = [fields(entry["plan"])]
    plan = folder.root / path_of("plan", name)
    if _is_pinned(folder, pins[0]):
        fetches = map(fields, items(load_record(plan, RecordKind.MODULE_PLAN)["fetches"]))
        pins += [fetch for fetch in fetches if fetch["pinned_by"] == "plan"]
    paths = [str(pin["path"]) for pin in pins if not _is_pinned(folder, pin)]
    if not paths:
        paths = [path_of(_BLAMED.get(step, step), name)]
    return [path for path in paths if (folder.root / path).is_file()]


def _is_pinned(folder: Folder, pin: JsonObject) -> bool:
    path = folder.root / str(pin["path"])
    return path.is_file() and hashlib.sha256(read_file(path)).hexdigest() == pin["sha256"]


def _new_place(folder: Folder, name: str) -> Path:
    number = 1
    while (folder.root / "quarantine" / f"{name}-{number}").exists():
        number += 1
    place = folder.root / "quarantine" / f"{name}-{number}"
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{place} cannot be made ({error.strerror}).",
                        {"file": str(place)}) from error
    return place


def _move(folder: Folder, path: str, place: Path) -> JsonObject:
    data = read_file(folder.root / path)
    target = place / Path(path).name
    shutil.move(folder.root / path, target)
    return {"path": path, "to": target.relative_to(folder.root).as_posix(),
            "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
