"""Set-up of web/vendor/: the packages of the lock file, the runtime wheel, a snapshot of both started, and a manifest
of all that the page runs.

A package is there whole and with the locked digests, or it is not there: files are made in a folder beside and renamed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

from .clients import fetch
from .exclusive import only_one
from .lock import LockedFile, Package, read_lock
from .place import Place
from .runtime_manifest import MANIFEST_PATH, damaged_page, runtime_manifest
from .snapshot import bring_snapshot
from .terminal import Terminal
from .wheel import Wheel, build_wheel

_STAGING_PREFIX = ".staging-"


def set_up(root: Path, terminal: Terminal) -> None:
    """Bring what web/vendor/ lacks and refresh the runtime wheel; a folder that is complete is only read.

    Raises ToolError: CLIENT_MISSING, DOWNLOAD_FAILED, DIGEST_MISMATCH, LOCK_UNREADABLE.
    """
    vendor = root / "web" / "vendor"
    packages = read_lock()
    install(packages, vendor, terminal)
    wheel = build_wheel(root)
    _put(vendor / wheel.name, wheel.data)
    snapshot = bring_snapshot(vendor, packages, wheel, terminal)
    _put(root / "web" / MANIFEST_PATH, runtime_manifest(root / "web", packages, wheel, snapshot))
    _remove_other_wheels(packages, wheel, vendor)


def complete(place: Place, terminal: Terminal) -> None:
    """Set a clone up; look at an installed copy, which has nothing to mend itself with. Raises as `set_up` does."""
    if place.tree:
        set_up(place.tree, terminal)
    elif damage := damaged_page(place.web):
        raise ToolError(ErrorCode.DIGEST_MISMATCH, f"{damage}. Install the package again.", {"web": str(place.web)})


def install(packages: tuple[Package, ...], folder: Path, terminal: Terminal) -> None:
    """Bring what `folder` lacks of the packages; raises as `set_up` does."""
    if not all(_is_installed(package, folder) for package in packages):
        _install_missing(packages, folder, terminal)


def relock(packages: tuple[Package, ...], terminal: Terminal) -> tuple[Package, ...]:
    """The same packages and file names with sizes and digests as the registries have them now."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_relocked(package, Path(folder), terminal) for package in packages)


def _install_missing(packages: tuple[Package, ...], vendor: Path, terminal: Terminal) -> None:
    vendor.mkdir(parents=True, exist_ok=True)
    with only_one(vendor / ".lock", lambda: terminal.say("waiting for another set-up to end")):
        _clear_stale(vendor)
        for package in packages:
            if not _is_installed(package, vendor):
                with _staging(vendor) as staging:
                    _install_one(package, vendor, staging, terminal)


def _clear_stale(vendor: Path) -> None:
    """What a process that was killed left behind: the lock is ours, so nobody is working on it."""
    for stale in vendor.glob(_STAGING_PREFIX + "*"):
        if stale.is_dir():
            shutil.rmtree(stale)
        else:
            stale.unlink()


@contextmanager
def _staging(vendor: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=vendor) as folder:
        yield Path(folder)


def _is_installed(package: Package, vendor: Path) -> bool:
    return all(_matches(vendor / file.file, file) for file in package.files)


def _matches(path: Path, file: LockedFile) -> bool:
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return len(data) == file.bytes and hashlib.sha256(data).hexdigest() == file.sha256


def _install_one(package: Package, vendor: Path, staging: Path, terminal: Terminal) -> None:
    terminal.say(f"fetching {package.title} with {package.client}: {package.archive_bytes:,} bytes")
    archive = fetch(package, staging, terminal)
    contents = staging / "contents"
    for file in package.files:
        data = _member(archive, file.member)
        _check(package, file, data)
        (contents / file.file).parent.mkdir(parents=True, exist_ok=True)
        (contents / file.file).write_bytes(data)
    for made in contents.iterdir():
        _swap_in(made, vendor / made.name, staging / f"replaced-{made.name}")
    held_bytes = sum(file.bytes for file in package.files)
    terminal.say(f"checked and kept {package.title}: {held_bytes:,} bytes")


def _swap_in(made: Path, target: Path, aside: Path) -> None:
    """Rename `made` to `target`. What stood there goes to `aside`: a folder cannot be renamed over another."""
    if target.exists():
        target.rename(aside)
    made.rename(target)


def _member(archive: Path, member: str) -> bytes:
    """One file's bytes out of an npm archive; of a wheel (no member named), all of it."""
    if not member:
        return archive.read_bytes()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            file = tar.extractfile(member)
            return file.read() if file else b""
    except (KeyError, tarfile.TarError, EOFError, OSError) as error:
        raise ToolError(ErrorCode.DIGEST_MISMATCH, f"{archive.name} holds no {member}: {error}") from error


def _check(package: Package, file: LockedFile, data: bytes) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise ToolError(
            ErrorCode.DIGEST_MISMATCH,
            f"{file.file} of {package.title} is not the file that was locked: SHA-256 {found} "
            f"({len(data):,} bytes) was found, {file.sha256} ({file.bytes:,} bytes) was expected. "
            "Nothing of it was kept. Try another network or registry mirror; after changing a version in "
            "vendor.lock, run: python serve.py --lock",
            {"file": file.file, "found": found, "expected": file.sha256},
        )


def _relocked(package: Package, folder: Path, terminal: Terminal) -> Package:
    terminal.say(f"fetching {package.title} with {package.client}")
    archive = fetch(package, folder, terminal)
    files = tuple(_relocked_file(file, archive) for file in package.files)
    return replace(package, archive_bytes=archive.stat().st_size, files=files)


def _relocked_file(file: LockedFile, archive: Path) -> LockedFile:
    data = _member(archive, file.member)
    name = file.file if file.member else archive.name  # a wheel's name holds its version
    return replace(file, file=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _put(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, in one step, and leave a file that holds it already untouched."""
    if path.is_file() and path.read_bytes() == data:
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_STAGING_PREFIX, delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)


def _remove_other_wheels(packages: tuple[Package, ...], wheel: Wheel, vendor: Path) -> None:
    """Wheels of earlier versions; the server would offer them to the page."""
    kept = {file.file for package in packages for file in package.files} | {wheel.name}
    for path in vendor.glob("*.whl"):
        if path.name not in kept:
            path.unlink()
