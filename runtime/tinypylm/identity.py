"""What the runtime is, by the bytes of its sources: the same in a tree, an installed package and the page's wheel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pkgutil import iter_modules
from types import ModuleType

import tinypylm


@cache
def runtime_sha256() -> str:
    """The digest of the runtime's sources.

    It reads them. Where none will be left, in a snapshot of the interpreter, it has to be called before.
    """
    return sources_sha256(tinypylm)


def sources_sha256(*packages: ModuleType) -> str:
    """SHA-256 over a line with the name and a line with the SHA-256 of each source file, by package and name."""
    total = hashlib.sha256()
    for package in packages:
        (root,) = package.__path__
        read = package.__loader__.get_data  # type: ignore[union-attr]  # of a folder's loader and of a zip's
        for name in sorted(_names(root, "")):
            data = read(os.path.join(root, *name.split("/")))
            total.update(f"{name}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return total.hexdigest()


def _names(folder: str, prefix: str) -> Iterator[str]:
    yield f"{prefix}__init__.py"
    for module in iter_modules([folder]):
        if module.ispkg:
            yield from _names(os.path.join(folder, module.name), f"{prefix}{module.name}/")
        else:
            yield f"{prefix}{module.name}.py"
