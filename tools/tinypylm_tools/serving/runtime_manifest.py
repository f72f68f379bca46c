"""What the page runs, file by file: it compares what it was given with this before it asks for any model.

Canonical JSON in web/vendor/manifest.json, sealed with a checksum over itself. Paths are relative to web/, the names of
the two wheels to web/vendor/.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.file_bytes import read_file

from .lock import LockedFile, Package
from .routes import page_files
from .wheel import Wheel

MANIFEST_PATH = "vendor/manifest.json"
_DOMAIN = b"slm/runtime-manifest/v1\n"


def runtime_manifest(web: Path, packages: tuple[Package, ...], wheel: Wheel, snapshot: LockedFile | None) -> bytes:
    """Size and SHA-256 of every file of the page, of the vendored packages, the wheel and the snapshot, sealed."""
    vendored = [file for package in packages for file in package.files] + ([snapshot] if snapshot else [])
    files = {name: _measured(path.read_bytes()) for name, path in page_files(web)} | {
        f"vendor/{file.file}": (file.bytes, file.sha256) for file in vendored}
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


def opened(data: bytes) -> JsonObject:
    """The body of a manifest. Raises SlmError where it is not canonical, or not what it was sealed as."""
    body = canonical.loads(data)
    if not isinstance(body, dict) or sealed({key: body[key] for key in body if key != "checksum"}) != data:
        raise ToolError(ErrorCode.DIGEST_MISMATCH, "vendor/manifest.json is not what it was sealed as.", {})
    return body


def named_files(manifest: JsonObject) -> list[JsonObject]:
    """The entries of a manifest: path in web/, size and SHA-256 of each file."""
    files = manifest["files"]
    assert isinstance(files, list)
    return [file for file in files if isinstance(file, dict)]


def damaged_page(web: Path) -> str | None:
    """The first file that is not what the manifest in `web` says, in words. Raises SlmError for a broken manifest."""
    for file in named_files(opened(read_file(web / MANIFEST_PATH))):
        path = web / str(file["path"])
        if _measured(read_file(path)) != (file["bytes"], file["sha256"]):
            return f"{path} is not the file that the runtime manifest names"
    return None


def _measured(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()
