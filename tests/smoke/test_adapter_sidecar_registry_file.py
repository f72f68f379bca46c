"""A declared stack of ADP1, ASP1 and ALR1 packages is fetched with all that speaks for it, verified, and applied.

Then one receipt is altered: nothing is loaded, and the page says at which step the evidence failed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.assembled import PHASES, choose, phases, rows, told, told_here
from tests.web.desk import Desk
from tests.web.shelf import BASE, STACKED, Shelf, make
from tinypylm.adapters import PackageFormat

pytestmark = pytest.mark.browser

KINDS = (PackageFormat.ADP1, PackageFormat.ASP1)
RECEIPT = "adapters/asp1.receipt.json"


def test_adapter_sidecar_registry_file(visit: Callable[[Shelf], Desk], folder: Path, tmp_path: Path):
    for shelf in (Shelf(make(tmp_path / "models", KINDS)), Shelf(folder)):  # the other is ASP1 and ALR1
        desk = visit(shelf)
        desk.reaches("ready")
        choose(desk, STACKED)
        applied(desk, shelf)
        sound, altered = shelf.files[RECEIPT], shelf.files[RECEIPT].replace(b'"version":1', b'"version":2')
        assert altered != sound
        shelf.files[RECEIPT] = altered
        choose(desk, STACKED)
        rejected(desk)
        shelf.files[RECEIPT] = sound
        choose(desk, STACKED)
        applied(desk, shelf)
        assert desk.errors == []


def applied(desk: Desk, shelf: Shelf) -> None:
    assert (desk.state, desk.code) == ("model-ready", "")
    assert phases(desk) == PHASES
    assert desk.figure("module_plan_actual_fetch_count") == "21"
    assert int(desk.figure("module_request_count")) <= 32
    found = rows(desk)
    for adapter in ("adapter-0", "adapter-1"):
        for part in ("manifest", "receipt", "evaluation", "package"):
            source, declared, accepted, digest, outcome = found[f"{adapter}-{part}"]
            assert (source, declared, outcome) == ("network", accepted, "accepted")
            assert len(digest) == 8
    assert desk.figure("adapter_apply_count") == "2"
    assert desk.figure("last_adapter_checksum") != ""
    assert told(desk) == told_here(shelf, STACKED) != told_here(shelf, BASE)


def rejected(desk: Desk) -> None:
    assert desk.state == "assembly-rejected"
    assert desk.notice.startswith("assembly evidence rejected")
    assert "receipt" in desk.notice
    assert desk.element("generate").is_disabled()
    assert desk.figure("linear_memory_bytes") == ""
    assert desk.refused("generate", "The cat", {})["code"] == "ModelNotLoaded"
