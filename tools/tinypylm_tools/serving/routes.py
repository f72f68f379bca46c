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

# What a page is made of. Other types in web/ (settings of tools, notes) are none of a visitor's business.
PAGE_TYPES = frozenset({".css", ".html", ".ico", ".js", ".mjs", ".png", ".svg", ".webmanifest", ".woff2"})
VENDOR = "vendor"

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
    _sha256: str = ""
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

    def sha256(self, file: FileIO) -> str:
        """In hex; `file` is this route's, open."""
        with self._lock:
            if not self._sha256:
                file.seek(0)
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return self._sha256

    def etag(self, file: FileIO) -> str:
        """A strong validator."""
        return f'"sha256-{self.sha256(file)}"'


Routes = Mapping[str, Route]


def build_routes(web: Path, models: Path) -> Routes:
    """/ and the page in `web`, everything with a type of ours in its vendor/, and in `models` at /models/."""
    page = {f"/{name}": made for name, file in page_files(web) if (made := _route(file))}
    vendored = {f"/{VENDOR}/{name}": made for name, file in walk(web / VENDOR) if (made := _route(file))}
    routes = page | vendored | {f"/models/{name}": made for name, file in walk(models) if (made := _route(file))}
    if "/index.html" in routes:
        routes["/"] = routes["/index.html"]
    return routes


def page_files(web: Path) -> Iterator[tuple[str, Path]]:
    """The page's own files by their path in `web`: neither what is vendored nor, in a site, its models."""
    for name, file in walk(web):
        if file.suffix in PAGE_TYPES and name.split("/")[0] not in (VENDOR, "models"):
            yield name, file


def walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Regular files in real folders, by their path in `folder`; links are neither, and hidden names are passed by."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(folder / entry.name, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name, folder / entry.name


def _route(file: Path) -> Route | None:
    media_type = MEDIA_TYPES.get(file.suffix)
    status = file.lstat()
    if media_type is None or not stat.S_ISREG(status.st_mode):
        return None
    return Route(file, media_type, status.st_size, _identity(status))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
