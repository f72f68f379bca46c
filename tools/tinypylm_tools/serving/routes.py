"""The table of everything served: URL path to file, made once by walking the served folders.

A path that is not in the table does not exist, so no request can lead outside the folders.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

# Not the system's table: what it says of .js or .wasm differs from machine to machine.
MEDIA_TYPES = {
    ".adp1": "application/octet-stream",
    ".alr1": "application/octet-stream",
    ".asp1": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".ledger": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".registry": "application/json",
    ".slm": "application/octet-stream",
    ".snapshot": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".whl": "application/octet-stream",
    ".woff2": "font/woff2",
    ".zip": "application/zip",
}

# A link put where the file was must not be followed, nor a pipe be waited for.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)  # fmt: skip


class FileChangedError(Exception):
    """The file behind a route is not the one that the walk saw."""


@dataclass(slots=True)
class Route:
    """One served file, as the walk saw it. The digest is computed when it is first asked for."""

    file: Path
    media_type: str
    bytes: int
    _identity: tuple[int, int, int, int]
    _etag: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> FileIO:
        """The file, at its start. Raises FileChangedError where another file stands there by now."""
        try:
            file = FileIO(os.open(self.file, _OPEN_FLAGS))
        except OSError as error:
            raise FileChangedError(f"{str(self.file)!a} was replaced or removed") from error
        if _identity(os.fstat(file.fileno())) != self._identity:
            file.close()
            raise FileChangedError(f"{str(self.file)!a} was changed")
        return file

    def etag(self, file: FileIO) -> str:
        """A strong validator; `file` is this route's, open."""
        with self._lock:
            if not self._etag:
                file.seek(0)
                self._etag = f'"sha256-{hashlib.file_digest(file, "sha256").hexdigest()}"'
            return self._etag


Routes = Mapping[str, Route]


def build_routes(root: Path) -> Routes:
    """/ and everything under web/ (at /) and models/ (at /models/) that has a type of ours."""
    routes = dict(_walk(root / "web", "/")) | dict(_walk(root / "models", "/models/"))
    if "/index.html" in routes:
        routes["/"] = routes["/index.html"]
    return routes


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Route]]:
    """Regular files in real folders; links are neither, and hidden names are passed by."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
        elif route := _route(folder / entry.name):
            yield prefix + entry.name, route


def _route(file: Path) -> Route | None:
    media_type = MEDIA_TYPES.get(file.suffix)
    status = file.lstat()
    if media_type is None or not stat.S_ISREG(status.st_mode):
        return None
    return Route(file, media_type, status.st_size, _identity(status))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
