"""Parents of a bred model, found by the digest of their file and never by its name; a child rebuilt from them."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.model_file import read_model


def find_parents(folder: Folder, receipt: JsonObject, search: Sequence[Path] = ()) -> list[bytes]:
    """The files of a receipt's parents, each once, in its order. Raises ProvenanceError (ParentMissing)."""
    wanted = list(dict.fromkeys(str(fields(parent)["sha256"]) for parent in items(receipt["parents"])))
    found: dict[str, bytes] = {}
    for path in _candidates(folder, search) if wanted else ():
        data = read_model(path)
        found.setdefault(hashlib.sha256(data).hexdigest(), data)
        if all(digest in found for digest in wanted):
            break
    for digest in wanted:
        if digest not in found:
            raise ProvenanceError(
                ProvenanceCode.PARENT_MISSING, f"unverifiable: the parent {digest} is in none of "
                f"{', '.join(map(str, (folder.root, *search)))}; name its folder with --parents", {"sha256": digest})
    return [found[digest] for digest in wanted]


def _candidates(folder: Folder, search: Sequence[Path]) -> Iterator[Path]:
    yield from folder.models()
    for other in search:
        yield from sorted(other.glob("*.slm")) if other.is_dir() else [other]


def replay(receipt: JsonObject, parents: Sequence[bytes]) -> str | None:
    """Rebuilds the child from its parents and compares; None for an import, which has nothing to rebuild.

    Raises ProvenanceError (ReplayRejected) where other bytes come out.
    """
    if receipt["operator"] == "import":
        return None
    try:
        breeding = importlib.import_module("tinypylm_tools.breeding.child")
    except ImportError as error:
        raise ToolError(ErrorCode.PACKAGE_MISSING, f"replaying needs the breeding operators ({error}).") from error
    child: bytes = breeding.replay(receipt, parents)
    found, expected = hashlib.sha256(child).hexdigest(), fields(receipt["output"])["sha256"]
    if found != expected:
        raise ProvenanceError(
            ProvenanceCode.REPLAY_REJECTED, f"the parents give {found}, the receipt states {expected}: it does not "
            "describe how this model was made", {"found": found, "expected": str(expected)})
    return found
