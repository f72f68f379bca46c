"""A session with a model, for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replay.runs import opened
from tinypylm.session import Session


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    session = opened("q8_0")
    yield session
    session.free()
