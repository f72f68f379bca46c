"""The committed list of what set-up brings from package registries: names, versions and SHA-256 of every file.

Package clients find the packages; this list alone decides which bytes are accepted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

LOCK_PATH = Path(__file__).with_name("vendor.lock")


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file of a package: where it goes under web/vendor/, its name in the package, and its bytes."""

    file: str
    member: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """One package at one version. An empty `member` stands for the whole archive (a wheel)."""

    name: str
    version: str
    client: str
    archive_bytes: int
    files: tuple[LockedFile, ...]

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


def read_lock(path: Path = LOCK_PATH) -> tuple[Package, ...]:
    """Packages in the order in which they are fetched.

    Raises ToolError (LOCK_UNREADABLE) where the file is missing or is not what `write_lock` writes.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["packages"]
        return tuple(_package(entry) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(
            ErrorCode.LOCK_UNREADABLE,
            f"{path} cannot be read as a lock file ({type(error).__name__}: {error}). "
            f"Restore it with: git checkout -- {path}",
        ) from error


def write_lock(packages: tuple[Package, ...], path: Path = LOCK_PATH) -> None:
    """Write `packages` as JSON that diffs well: indented, keys in the order of the fields."""
    text = json.dumps({"packages": [asdict(package) for package in packages]}, indent=2)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _package(entry: dict[str, object]) -> Package:
    files = entry.pop("files")
    if not isinstance(files, list):
        raise TypeError(f"files of {entry.get('name')} is {type(files).__name__}, not a list")
    return Package(**entry, files=tuple(LockedFile(**file) for file in files))  # type: ignore[arg-type]
