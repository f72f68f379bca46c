"""The f32, q8_0 and q4_0 entries are assembled one after the other in one page, each plan before its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines import Tab
from tests.engines.desk import EngineDesk
from tests.smoke.site import Site
from tests.web.assembled import PHASES, phases, rows, told, told_here
from tests.web.shelf import Shelf

pytestmark = [pytest.mark.browser, pytest.mark.engines]

MODELS = {f"storyteller-2m-{kind}": kind for kind in ("f32", "q8_0", "q4_0")}


def test_combined_selector_assembly(new_tab: Callable[[], Tab], site: Site, repo_root: Path):
    shelf = Shelf(repo_root / "models")
    desk = EngineDesk(new_tab(), site.address)
    for model, quantization in MODELS.items():
        site.requests.clear()
        desk.choose(model)
        assert (desk.state, desk.code) == ("model-ready", "")
        assert (desk.figure("model_id"), desk.figure("quantization")) == (model, quantization)
        assert phases(desk) == [*PHASES[:4], "", ""]
        assert desk.figure("module_plan_planned_fetch_count") == desk.figure("module_plan_actual_fetch_count") == "12"
        assert desk.figure("actual_module_bytes") == desk.figure("planned_module_bytes")
        order = [path.rpartition("/")[2] for path in site.requests if not path.endswith(".snapshot")]  # kept at rest
        assert order[0] == "plan.json"
        assert order.index("plan.json") < order.index(f"{model}.slm")
        assert {row[-1] for row in rows(desk).values()} == {"accepted"}
        assert told(desk) == told_here(shelf, model)
    assert desk.errors == []
