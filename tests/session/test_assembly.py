"""An entry of the registry in a session: its stack applied in order, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

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
