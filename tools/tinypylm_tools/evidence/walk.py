"""The whole chain of an admitted model, from the files on disk; parents and replay, which the page does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tinypylm import selector
from tinypylm.canonical import JsonObject
from tinypylm.errors import ProvenanceError, SlmError, ToolError
from tinypylm.provenance import records
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.records import RecordKind
from tinypylm.provenance.registry import path_of
from tinypylm.provenance.schema import fields, items
from tinypylm.selector import Assembly, Verified
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.parents import find_parents, replay
from tinypylm_tools.file_bytes import read_file

PARENTS_PHASE = "verify-parents"
OnStep = Callable[[Verified], None]


def entries_of(folder: Folder, file: str) -> list[str]:
    """The ids of the registry's entries for the model `file`, disabled ones included; none without a registry."""
    if not folder.registry.is_file():
        return []
    listing = records.load(read_file(folder.registry), RecordKind.REGISTRY)
    return [str(fields(entry)["id"]) for entry in items(listing["models"]) if fields(entry)["file"] == file]


def assembly_files(folder: Folder, name: str) -> dict[str, bytes]:
    """Every file that the plan of the entry names, by component. Raises ProvenanceError."""
    registry = read_file(folder.registry)
    selector.verify_entry(name, registry)
    plan = _read(folder, "plan", path_of("plan", name))
    planned = selector.verify_plan(name, registry, plan)
    files = {"registry": registry, "plan": plan}
    for fetch in map(fields, items(planned.plan["fetches"])):
        component = str(fetch["component"])
        if component not in files:
            files[component] = _read(folder, component, str(fetch["path"]))
    return files


def _read(folder: Folder, component: str, path: str) -> bytes:
    try:
        return read_file(folder.root / path)
    except ToolError as error:
        raise ProvenanceError(ProvenanceCode.FETCH_MISSING, f"{component}: {error.message}",
                              {"component": component, "path": path, "step": component}) from error


def verify(folder: Folder, name: str, on_step: OnStep = lambda step: None) -> Assembly:
    """Every phase of the entry `name`, as the page verifies it. Raises ProvenanceError."""
    return selector.verify_assembly(name, assembly_files(folder, name), on_step)


def verify_parents(
    folder: Folder, receipt: JsonObject, search: Sequence[Path], *, rebuild: bool, on_step: OnStep
) -> None:
    """The parents are there, by their digest; with `rebuild`, the child comes out of them again to the byte.

    Raises ProvenanceError: ParentMissing, whose message says `unverifiable`, or ReplayRejected.
    """
    try:
        parents = find_parents(folder, receipt, search)
        on_step(Verified(PARENTS_PHASE, "parents", f"{len(parents)} present" if parents else "none: an import"))
        if rebuild:
            child = replay(receipt, parents)
            on_step(Verified(PARENTS_PHASE, "replay", child or "nothing to rebuild: an import"))
    except SlmError as error:
        step = "parents" if error.code is ProvenanceCode.PARENT_MISSING else "replay"
        raise ProvenanceError(error.code, f"{step}: {error.message}",
                              {**error.detail, "phase": PARENTS_PHASE, "step": step}) from error
