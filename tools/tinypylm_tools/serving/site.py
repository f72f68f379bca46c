"""A site of plain files: the page, the runtime, Pyodide and chosen models, for any host that sends files as they are.

Nothing in it names an address, so it works under any path. Files are copied as they are, and the runtime manifest with
them; the registry is cut down to the chosen entries.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.provenance import records
from tinypylm.provenance.records import RecordKind
from tinypylm.provenance.registry import LEDGER_PATH, REGISTRY_PATH
from tinypylm.provenance.schema import number
from tinypylm_tools.file_bytes import read_file

from . import pinned
from .check import check
from .place import Place
from .reply import ISOLATION_FIELDS, SITE_FIELDS
from .runtime_manifest import MANIFEST_PATH, named_files, opened

HEADERS_PATH = "_headers"
EVALUATION = "evaluation"
INSIDE_VERDICT = "no parent"
INSIDE_MODEL_BYTES = 4 << 20
"""The largest model that a built wheel carries: those of a few million parameters, in eight bits or four."""


@dataclass(frozen=True, slots=True)
class Written:
    files: int
    size_bytes: int
    models: tuple[str, ...]


def write_site(place: Place, folder: Path, names: Sequence[str] = (), *, replace: bool = False) -> Written:
    """Writes a site with these models, or all that are offered, whole or not at all; `place` has to be complete.

    replace: a site that stands there may go; anything else in a folder never does. Raises SlmError.
    """
    _check_free(folder, replace=replace)
    data, registry = _registry(place, names)
    with _staging(folder) as staging:
        _copy(place.web, staging, _page_paths(place.web))
        models = tuple(str(entry["id"]) for entry in pinned.offered(registry))
        _copy(place.models, staging / "models", _model_paths(place.models, data, models))
        (staging / "models" / REGISTRY_PATH).write_bytes(data)
        (staging / HEADERS_PATH).write_text(headers_file(), encoding="ascii", newline="\n")
        _check_written(staging)
        _swap_in(staging, folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Written(len(files), sum(path.stat().st_size for path in files), models)


def write_inside(place: Place, folder: Path) -> Written:
    """What a built wheel carries: a site with the small models that were trained, and the sets of `tinypylm admit`."""
    _, registry = pinned.read_registry(place.models)
    inside = [str(entry["id"]) for entry in pinned.offered(registry)
              if number(entry["bytes"]) <= INSIDE_MODEL_BYTES and entry["verdict"] == INSIDE_VERDICT]
    written = write_site(place, folder, inside, replace=True)
    shutil.copytree(place.models / EVALUATION, folder / "models" / EVALUATION)
    return written


def headers_file() -> str:
    """What serve.py sends with a page, in the form that Netlify and Cloudflare Pages read."""
    fields = {**SITE_FIELDS, **ISOLATION_FIELDS}
    return "\n".join(["/*", *(f"  {name}: {value}" for name, value in fields.items()), ""])


def _registry(place: Place, names: Sequence[str]) -> tuple[bytes, JsonObject]:
    data, registry = pinned.read_registry(place.models)
    if not names:
        return data, registry
    registry = pinned.chosen(registry, names)
    return records.dump(RecordKind.REGISTRY, registry), registry


def _page_paths(web: Path) -> list[str]:
    manifest = opened(read_file(web / MANIFEST_PATH))
    return [MANIFEST_PATH, *(str(file["path"]) for file in named_files(manifest))]


def _model_paths(models: Path, registry: bytes, names: Sequence[str]) -> list[str]:
    """The ledger and every file that one of these entries plans; the whole chain behind each was walked."""
    paths = {pin.path for name in names for pin in pinned.proven(models, registry, name)}
    return [LEDGER_PATH, *sorted(paths)]


def _copy(source: Path, target: Path, paths: Sequence[str]) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / path, target / path)
        except OSError as error:
            raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{source / path} could not be copied to {target} "
                            f"({error.strerror}).", {"path": path}) from error


def _check_written(site: Path) -> None:
    """What was copied is what was pinned: a source may have changed meanwhile."""
    for problem in check(Place(site, site / "models")).problems:
        raise ToolError(ErrorCode.DIGEST_MISMATCH, f"{problem}. Nothing was written. Start serve.py once, or look with "
                        "`tinypylm serve --check`.", {"problem": problem})


def _check_free(folder: Path, *, replace: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{folder} is there and is no folder.", {"path": str(folder)})
    if not any(folder.iterdir()):
        return
    is_site = (folder / MANIFEST_PATH).is_file() and (folder / HEADERS_PATH).is_file()
    if not (is_site and replace):
        advice = "Add --replace to exchange it." if is_site else "Name an empty folder, or one that is not there."
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{folder} is not empty: it holds "
                        f"{'an exported site' if is_site else 'something that is no exported site'}. {advice}",
                        {"path": str(folder)})


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder beside `folder`, gone at the end whatever happened."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as staging:
            (Path(staging) / "site").mkdir()
            yield Path(staging) / "site"
    except OSError as error:
        raise ToolError(ErrorCode.UNWRITABLE_FILE, f"{folder} cannot be written ({error.strerror}).",
                        {"path": str(folder)}) from error


def _swap_in(staging: Path, folder: Path) -> None:
    """Rename `staging` to `folder`; what stood there goes with the folder that `staging` is in."""
    if folder.exists():
        os.rename(folder, staging.with_name("replaced"))
    os.rename(staging, folder)
