"""An entry of the registry in a session: its stack applied in order, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.shelf import BASE, STACKED, Shelf, make
from tinypylm.app import App
from tinypylm.assembly import assemble
from tinypylm.errors import ProvenanceError
from tinypylm.hosts.native import NativeHost
from tinypylm.session import Session
from tinypylm.states import State


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("shelf") / "models")


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder)


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session(NativeHost())
    yield made
    if made.state is not State.NO_MODEL:
        made.free()


def files_of(shelf: Shelf, name: str) -> dict[str, bytes]:
    plan = json.loads(shelf.files[f"evidence/{name}/plan.json"])
    return {fetch["component"]: shelf.files[fetch["path"]] for fetch in plan["fetches"]}


def logits(session: Session) -> bytes:
    session.engine.prefill([1, 2, 3], 0)
    return bytes(session.engine.logits())


def test_a_stack_is_applied_in_the_order_of_the_entry(session: Session, shelf: Shelf):
    files = files_of(shelf, STACKED)
    figures = assemble(session, STACKED, files)
    assert (figures["adapter_apply_count"], session.state) == (2, State.MODEL_READY)
    assembled = logits(session)
    session.load(files["model"])
    plain = logits(session)
    for index in range(2):
        session.apply_adapter(files[f"adapter-{index}-package"], 1.0)
    assert logits(session) == assembled != plain


@pytest.mark.parametrize(("component", "phase", "step"), [
    ("model", "load-model-bytes", "model"), ("manifest", "verify-model-manifest", "manifest"),
    ("promotion", "verify-assembly-evidence", "promotion"), ("family", "verify-adapter-family", "family"),
    ("adapter-1-package", "apply-adapter-stack-1", "adapter-1"), ("plan", "verify-module-plan", "plan"),
])
def test_a_file_that_is_another_one_is_refused_with_its_phase_and_the_session_stays(
    session: Session, shelf: Shelf, component: str, phase: str, step: str
):
    assemble(session, BASE, files_of(shelf, BASE))
    before = logits(session)
    files = files_of(shelf, STACKED)
    files[component] = files[component][:-2] + bytes([files[component][-2] ^ 1]) + files[component][-1:]
    with pytest.raises(ProvenanceError) as refused:
        assemble(session, STACKED, files)
    assert (refused.value.code, refused.value.detail["phase"], refused.value.detail["step"]) == (
        "ResponseDigest", phase, step)
    assert logits(session) == before


def test_a_rehearsal_changes_nothing_and_needs_a_model(session: Session, shelf: Shelf):
    assert not session.rehearse()
    assert session.last_error_code is None
    assemble(session, STACKED, files_of(shelf, STACKED))
    found = logits(session)
    before = session.diagnostics()
    assert session.rehearse()
    assert session.diagnostics() == before
    assert logits(session) == found


def test_a_model_that_nothing_speaks_for_is_rehearsed_too(session: Session, shelf: Shelf):
    session.load(files_of(shelf, BASE)["model"])
    assert session.rehearse()


def test_deriving_changes_nothing_and_needs_an_assembled_model(session: Session, shelf: Shelf):
    assert session.derived() is None
    assert session.last_error_code is None
    files = files_of(shelf, STACKED)
    session.load(files["model"])
    assert session.derived() is None
    assemble(session, STACKED, files)
    found = logits(session)
    before = session.diagnostics()
    derived = session.derived()
    assert derived is not None
    assert derived.tensor_checksum == json.loads(files["manifest"])["tensor_checksum"]
    assert len(derived.module.code) == before["module_bytes"]
    assert session.diagnostics() == before
    assert logits(session) == found


class Desk:
    """The worker's side of one entry."""

    def __init__(self, shelf: Shelf, name: str):
        self.app = App(NativeHost(), lambda *token: None, lambda: False)
        files = files_of(shelf, name)
        self.model = files.pop("model")
        self.evidence = bytearray(b"".join(files.values()))
        self.params = {"name": name, "files": [[component, len(data)] for component, data in files.items()],
                       "sha256": hashlib.sha256(self.model).hexdigest()}

    def assemble(self, derived: object) -> dict[str, Any]:
        request = json.dumps(self.params | {"derived": derived})
        return json.loads(self.app.request("assemble", request, self.evidence, self.model))

    def ask(self, method: str) -> dict[str, Any]:
        return json.loads(self.app.request(method, "{}"))["result"]

    def logits(self) -> bytes:
        return logits(self.app._session)


@pytest.fixture
def desk(shelf: Shelf) -> Iterator[Desk]:
    made = Desk(shelf, STACKED)
    assert made.ask("derive") == {"derived": None}
    yield made
    made.ask("free")


def test_what_was_derived_from_a_model_saves_its_emission_and_changes_no_bit(desk: Desk):
    emitted, first = desk.assemble(None)["result"], desk.logits()
    found = desk.ask("derive")
    assert found["sha256"] == desk.params["sha256"]
    again = desk.assemble(found["derived"])["result"]
    assert (again["module_bytes"], again["emit_ms"] < emitted["emit_ms"] / 10) == (emitted["module_bytes"], True)
    assert desk.logits() == first
    assert desk.ask("derive") == found


@pytest.mark.parametrize(("altered", "code"), [
    ({"tensor_checksum": "0" * 64}, "ManifestRejected"), ({"module": "AGFzbQ=="}, "HostFailed"),
])
def test_derived_facts_of_something_else_are_refused_and_nothing_is_lost(
    desk: Desk, altered: dict[str, str], code: str
):
    desk.assemble(None)
    first, derived = desk.logits(), desk.ask("derive")["derived"]
    assert desk.assemble(derived | altered)["error"]["code"] == code
    desk.assemble(None)
    assert desk.logits() == first


def test_the_worker_hands_the_evidence_over_in_one_piece_and_the_model_beside_it(shelf: Shelf):
    files = files_of(shelf, STACKED)
    model = files.pop("model")
    app = App(NativeHost(), lambda *token: None, lambda: False)
    sizes = [[component, len(data)] for component, data in files.items()]
    request = json.dumps({"name": STACKED, "files": sizes, "sha256": hashlib.sha256(model).hexdigest()})
    answer = json.loads(app.request("assemble", request, bytearray(b"".join(files.values())), model))
    assert answer["result"]["adapter_apply_count"] == 2
    files["registry"] = b"{}"
    sizes[0][1] = 2
    request = json.dumps({"name": STACKED, "files": sizes, "sha256": hashlib.sha256(model).hexdigest()})
    refused = json.loads(app.request("assemble", request, bytearray(b"".join(files.values())), model))["error"]
    assert (refused["code"], refused["detail"]["step"]) == ("RecordKind", "registry")
    app.request("free", "{}")
