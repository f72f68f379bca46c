"""A helper thread that never comes ends in an error that says so, not in a hang."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any

import pytest

from tests.engine.models import config, parsed, random_file
from tinypylm.engine import Engine
from tinypylm.errors import EngineError, ErrorCode
from tinypylm.hosts import native
from tinypylm.hosts.native import NativeHost
from tinypylm.kernels import threads
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.states import State

DATA = random_file(config())
LONG_ENOUGH_SECONDS = 5.0


@pytest.fixture
def first_helper_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helper 1 ends at once, helper 2 works; thread 0 waits a tenth of a second, not ten."""
    live = native._help

    def help_or_die(*arguments: Any) -> None:
        if arguments[-1] != 1:
            live(*arguments)

    monkeypatch.setattr(native, "_help", help_or_die)
    monkeypatch.setattr(threads, "PATIENCE_NS", 10**8)


@pytest.mark.usefixtures("first_helper_dies")
@pytest.mark.parametrize("count", [2, 3])
def test_a_helper_that_never_comes_is_named_within_bounded_time(count: int) -> None:
    before = threading.active_count()
    engine = Engine.load(parsed(DATA), DATA, NativeHost(count))
    for request in (lambda: engine.step(3, 0), lambda: engine.prefill([3, 4], 0)):
        started = perf_counter()
        with pytest.raises(EngineError, match="use fewer threads") as caught:
            request()
        assert caught.value.code is ErrorCode.HELPER_LOST
        assert perf_counter() - started < LONG_ENOUGH_SECONDS
    engine.free()
    assert threading.active_count() == before  # the helper that still lived has gone, too


@pytest.mark.usefixtures("first_helper_dies")
def test_a_session_that_loses_a_helper_has_no_model_and_can_load_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(NativeHost(3))
    session.load(DATA)
    session.start("a story", SamplingOptions(max_tokens=4))
    with pytest.raises(EngineError) as caught:
        session.advance(lambda: False)
    assert caught.value.code is ErrorCode.HELPER_LOST
    assert (session.state, session.diagnostics()["last_error_code"]) == (State.NO_MODEL, "HelperLost")
    monkeypatch.undo()
    session.load(DATA)
    session.start("a story", SamplingOptions(temperature=0, max_tokens=4))
    assert session.advance(lambda: False)
    assert session.state is State.CONTEXT_READY
    session.free()


def test_another_trap_stays_what_it_is() -> None:
    engine = Engine.load(parsed(DATA), DATA, NativeHost(2))
    with pytest.raises(engine._live().trap, match="out of bounds"):
        engine._forward(2**28, 0)
    engine.free()
