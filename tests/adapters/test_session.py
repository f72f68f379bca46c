"""Adapters in a session: which request fits which state, what is forgotten, and what the worker's door answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.packages import matrices, model_file, package
from tests.engine.models import config, random_file
from tinypylm.adapters import AdapterCode, PackageFormat
from tinypylm.app import App
from tinypylm.config import DType
from tinypylm.errors import AdapterError, ErrorCode, SessionError
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.states import State

FILE = model_file(random_file(config(quantization=DType.Q4_0)))
OTHER = model_file(random_file(config(quantization=DType.Q4_0), seed=1))
PACKAGE = package(FILE, PackageFormat.ALR1, matrices(FILE), scale=0.5)
FOREIGN = package(OTHER, PackageFormat.ALR1, matrices(OTHER))
OVERFLOWING = package(FILE, PackageFormat.ALR1, matrices(FILE), scale=1e30)
OPTIONS = SamplingOptions(temperature=0, max_tokens=8)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(NativeHost())
    session.load(FILE.data)
    yield session
    if session.state is State.GENERATING:
        session.stop()
    if session.state is not State.NO_MODEL:
        session.free()


def tell(session: Session) -> list[int]:
    session.start("ab", OPTIONS)
    ids = []
    while not session.finished:
        ids += [event.id for event in session.advance(lambda: False)]
    return ids


REQUESTS = {
    "validate": lambda session: session.validate_adapter(PACKAGE),
    "apply": lambda session: session.apply_adapter(PACKAGE),
    "detach": lambda session: session.detach_adapters(),
}


@pytest.mark.parametrize("request_name", REQUESTS)
def test_without_a_model_there_is_nothing_to_adapt(request_name: str) -> None:
    with pytest.raises(SessionError) as refused:
        REQUESTS[request_name](Session(NativeHost()))
    assert refused.value.code is ErrorCode.MODEL_NOT_LOADED


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_running_generation_is_not_disturbed(session: Session, request_name: str) -> None:
    expected = tell(session)
    session.start("ab", OPTIONS)
    with pytest.raises(SessionError) as refused:
        REQUESTS[request_name](session)
    assert refused.value.code is ErrorCode.BUSY
    ids = [event.id for event in session.advance(lambda: False)]
    assert ids == expected


@pytest.mark.parametrize("request_name", ["apply", "detach"])
def test_applying_and_detaching_forget_the_context(session: Session, request_name: str) -> None:
    tell(session)
    REQUESTS[request_name](session)
    figures = session.diagnostics()
    assert session.state is State.MODEL_READY
    assert (figures["prompt_tokens"], figures["generated_tokens"], figures["kv_cache_tokens"]) == (0, 0, 0)
    assert session.prompt_ids == ()
    with pytest.raises(SessionError):
        session.generate_next_token()


def test_validation_leaves_the_context_alone(session: Session) -> None:
    tell(session)
    following = session.generate_next_token()
    tell(session)
    assert session.validate_adapter(PACKAGE).format is PackageFormat.ALR1
    assert session.state is State.CONTEXT_READY
    assert session.generate_next_token() == following


def test_a_package_that_is_refused_leaves_context_and_weights(session: Session) -> None:
    tell(session)
    with pytest.raises(AdapterError) as refused:
        session.apply_adapter(FOREIGN)
    assert refused.value.code is AdapterCode.BASE_MISMATCH
    assert session.state is State.CONTEXT_READY
    assert session.diagnostics()["last_error_code"] == "AdapterBaseMismatch"


def test_a_result_that_does_not_fit_costs_the_context_and_no_weight(session: Session) -> None:
    expected = tell(session)
    with pytest.raises(AdapterError) as refused:
        session.apply_adapter(OVERFLOWING)
    assert refused.value.code is AdapterCode.RESULT_OVERFLOW
    assert session.state is State.MODEL_READY
    assert session.diagnostics()["adapter_apply_count"] == 0
    assert tell(session) == expected


def test_figures_say_what_is_applied_now(session: Session) -> None:
    checksum = f"{int.from_bytes(PACKAGE[108:112], 'little'):08x}"
    base = tell(session)
    for count in (1, 2):
        figures = session.apply_adapter(PACKAGE)
        assert (figures["adapter_apply_count"], figures["last_adapter_checksum"]) == (count, checksum)
    assert tell(session) != base
    figures = session.detach_adapters()
    assert (figures["adapter_apply_count"], figures["last_adapter_checksum"]) == (0, None)
    assert tell(session) == base


def test_a_new_model_comes_without_adapters(session: Session) -> None:
    session.apply_adapter(PACKAGE)
    assert session.load(OTHER.data)["adapter_apply_count"] == 0
    with pytest.raises(AdapterError):
        session.apply_adapter(PACKAGE)


def test_a_scale_of_the_attach_multiplies_the_packages() -> None:
    told = []
    for scale, data in ((2.0, PACKAGE), (None, package(FILE, PackageFormat.ALR1, matrices(FILE), scale=1.0))):
        session = Session(NativeHost())
        session.load(FILE.data)
        session.apply_adapter(data, scale)
        told.append(session._loaded.engine.instance.read(0, len(FILE.data)))
        session.free()
    assert told[0] == told[1]


class Door:
    """The worker's door, with answers read back from JSON."""

    def __init__(self) -> None:
        self.app = App(NativeHost(), lambda *_: None, lambda: False)

    def ask(self, method: str, data: bytes = b"", **params: object) -> dict[str, Any]:
        return json.loads(self.app.request(method, json.dumps(params), data))


def test_the_door_validates_applies_and_detaches() -> None:
    door = Door()
    door.ask("load", FILE.data)
    assert door.ask("validate_adapter", PACKAGE)["result"] == {
        "format": "ALR1", "entries": len(matrices(FILE)), "package_bytes": len(PACKAGE), "scale": 0.5,
        "checksum": f"{int.from_bytes(PACKAGE[108:112], 'little'):08x}"}
    assert door.ask("apply_adapter", PACKAGE, scale=0.5)["result"]["adapter_apply_count"] == 1
    assert door.ask("detach_adapters")["result"]["adapter_apply_count"] == 0
    assert door.ask("apply_adapter", FOREIGN)["error"]["code"] == "AdapterBaseMismatch"
    door.ask("free")


@pytest.mark.parametrize("scale", ["1", True, [1]])
def test_the_door_refuses_a_scale_that_is_no_number(scale: object) -> None:
    door = Door()
    door.ask("load", FILE.data)
    assert door.ask("apply_adapter", PACKAGE, scale=scale)["error"]["code"] == "OptionOutOfRange"
    door.ask("free")
