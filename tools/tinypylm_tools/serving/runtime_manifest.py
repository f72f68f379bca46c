"""What the page runs, file by file: it compares what it was given with this before it asks for any model.

Canonical JSON in web/vendor/manifest.json, sealed with a checksum over itself. Paths are relative to web/, the names of
the two wheels to web/vendor/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject

from .lock import LockedFile, Package
from .wheel import Wheel

_DOMAIN = b"slm/runtime-manifest/v1\n"
_PAGE_FILES = frozenset({".css", ".html", ".js", ".svg"})


def runtime_manifest(web: Path, packages: tuple[Package, ...], wheel: Wheel, snapshot: LockedFile | None) -> bytes:
    """Size and SHA-256 of every file of the page, of the vendored packages, the wheel and the snapshot, sealed."""
    vendored = [file for package in packages for file in package.files] + ([snapshot] if snapshot else [])
    files = dict(_page_files(web)) | {f"vendor/{file.file}": (file.bytes, file.sha256) for file in vendored}
    files[f"vendor/{wheel.name}"] = len(wheel.data), wheel.sha256
    (micropip,) = (package for package in packages if package.name == "micropip")
    return sealed({
        "kind": "runtime-manifest", "version": 1,
        "files": [{"path": path, "bytes": size, "sha256": sha256} for path, (size, sha256) in sorted(files.items())],
        "runtime_wheel": wheel.name, "micropip_wheel": micropip.files[0].file,
    })  # fmt: skip


def sealed(body: JsonObject) -> bytes:
    """`body` with its checksum: SHA-256 over the domain line and the canonical text of the rest."""
    checksum = hashlib.sha256(_DOMAIN + canonical.dumps(body)).hexdigest()
    return canonical.dumps({**body, "checksum": checksum})


def _page_files(web: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    """Scripts, pages and styles outside vendor/, as the server's walk finds them: no links, nothing hidden."""
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web)
        hidden = any(part.startswith(".") for part in name.parts)
        if name.parts[0] == "vendor" or hidden or path.is_symlink() or path.suffix not in _PAGE_FILES:
            continue
        data = path.read_bytes()
        yield name.as_posix(), (len(data), hashlib.sha256(data).hexdigest())
