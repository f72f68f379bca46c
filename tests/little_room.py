"""A disk with little room, as far as this process can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def little_room(most_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond `most_bytes`: what a full disk is to a writer."""
    resource = pytest.importorskip("resource", reason="this system has no limit to the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
