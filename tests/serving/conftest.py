"""Servers on a small site, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving.small_site import Running, make_site, running
from tinypylm_tools.serving.limits import Limits


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for every test that changes neither its files nor its limits."""
    with running(make_site(tmp_path_factory.mktemp("site")), Limits(head_s=5, linger_s=0.2)) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a server with limits of one's own on a site of one's own."""
    with ExitStack() as stack:
        yield lambda limits, **options: stack.enter_context(running(make_site(tmp_path), limits, **options))
