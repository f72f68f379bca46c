"""A declared stack of ADP1, ASP1 and ALR1 packages is fetched with all that speaks for it, verified, and applied.

Then one receipt is altered: nothing is loaded, and the page says at which step the evidence failed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import Tab
from tests.engines.desk import EngineDesk
from tests.smoke.site import Site
from tests.web.assembled import PHASES, phases, rows, told, told_here
from tests.web.shelf import BASE, STACKED, Shelf, make
from tinypylm.adapters import PackageFormat

pytestmark = [pytest.mark.browser, pytest.mark.engines]

STACKS = ((PackageFormat.ADP1, PackageFormat.ASP1), (PackageFormat.ASP1, PackageFormat.ALR1))
RECEIPT = "adapters/asp1.receipt.json"


def test_adapter_sidecar_registry_file(
    new_tab: Callable[[], Tab], new_site: Callable[[Path], Site], tmp_path: Path
):
    for number, kinds in enumerate(STACKS):
        folder = make(tmp_path / str(number), kinds)
        site, shelf = new_site(folder), Shelf(folder)
        desk = EngineDesk(new_tab(), site.address)
        desk.forget_device()
        desk.choose(STACKED)
        applied(desk, shelf)
        altered = shelf.files[RECEIPT].replace(b'"version":1', b'"version":2')
        assert altered != shelf.files[RECEIPT]
        site.put(f"models/{RECEIPT}", altered)
        desk.choose(STACKED)
        rejected(desk)
        site.restore()
        desk.choose(STACKED)
        applied(desk, shelf)
        assert desk.errors == []


def applied(desk: EngineDesk, shelf: Shelf) -> None:
    assert (desk.state, desk.code) == ("model-ready", "")
    assert "generate" in desk.enabled()
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


def rejected(desk: EngineDesk) -> None:
    assert desk.state == "assembly-rejected"
    assert desk.notice.startswith("assembly evidence rejected")
    assert "receipt" in desk.notice
    assert "generate" not in desk.enabled()
    assert desk.figure("linear_memory_bytes") == ""
    assert desk.refused("generate", "The cat", {})["code"] == "ModelNotLoaded"
