"""The journeys share a page where they leave it as they found it; those that break or fill one open their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines import Engine, Tab, started
from tests.engines.chromium import Chromium
from tests.engines.desk import EngineDesk
from tests.smoke.site import Site, open_site
from tests.web.desk import empty


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """What --engine names."""
    name = request.config.getoption("--engine")
    if name == "chromium":
        yield Chromium(request.getfixturevalue("browser"))
        return
    with started(name, headed=request.config.getoption("--headed")) as engine:
        yield engine


@pytest.fixture
def new_tab(engine: Engine) -> Iterator[Callable[[], Tab]]:
    """Opens tabs that are closed at the end."""
    tabs: list[Tab] = []

    def open_tab() -> Tab:
        tabs.append(engine.new_tab())
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()


@pytest.fixture
def new_site(
    server: str, repo_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Opens servers whose files the test exchanges; with the project's models, or another folder of them.

    The first start of `server` has set web/vendor up.
    """
    with ExitStack() as stack:

        def open_one(models: Path = repo_root / "models") -> Site:
            return stack.enter_context(open_site(models, tmp_path_factory.mktemp("exchanged")))

        yield open_one


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    return new_site()


@pytest.fixture(scope="session")
def shared_engine_desk(engine: Engine, server: str) -> EngineDesk:
    return EngineDesk(engine.new_tab(), server)


@pytest.fixture
def engine_desk(shared_engine_desk: EngineDesk) -> Iterator[EngineDesk]:
    """A page in the engine with no model and an empty transcript."""
    desk = shared_engine_desk
    empty(desk)
    yield desk
    assert desk.errors == []


@pytest.fixture
def engine_writer(engine_desk: EngineDesk) -> EngineDesk:
    """The page with the storyteller loaded and no context."""
    engine_desk.choose()
    return engine_desk
