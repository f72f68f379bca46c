"""A runtime manifest with a wrong checksum halts the page: no model is asked for, only Reload is left."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.engines import Tab
from tests.engines.chromium import ChromiumTab
from tests.engines.desk import EngineDesk
from tests.smoke.site import MANIFEST, Site
from tests.web import altered
from tests.web.desk import STORYTELLER
from tinypylm import canonical

pytestmark = [pytest.mark.browser, pytest.mark.engines]


def test_runtime_manifest_drift(new_tab: Callable[[], Tab], site: Site):
    manifest = json.loads(altered.manifest())
    manifest["checksum"] = manifest["checksum"][::-1]
    site.put(MANIFEST, canonical.dumps(manifest))
    desk = EngineDesk(new_tab(), site.address, f"?model={STORYTELLER}", ends=("manifest-drift",))
    assert desk.code == "ManifestDrift"
    assert desk.enabled() == {"reload"}
    for method, *arguments in (("load", STORYTELLER), ("generate", "a", {}), ("step",), ("reset",), ("free",)):
        assert desk.refused(method, *arguments)["code"] == "ManifestDrift"
    assert desk.state == "manifest-drift"
    assert f"/{MANIFEST}" in site.requests
    assert [path for path in site.requests if path.endswith(".slm")] == []
    if isinstance(desk.tab, ChromiumTab):
        assert desk.tab.page.workers == []

    site.restore()
    desk.reload("model-ready")
    assert desk.code == ""
    assert len(desk.tokens("The cat", temperature=0, max_tokens=4)) == 4
    assert desk.errors == []
