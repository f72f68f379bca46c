"""A runtime manifest with a wrong checksum halts the page: no model is asked for, only Reload is left."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser

from tests.web import altered
from tests.web.desk import STORYTELLER, Desk
from tinypylm import canonical

pytestmark = pytest.mark.browser


def test_runtime_manifest_drift(browser: Browser, server: str):
    manifest = json.loads(altered.manifest())
    manifest["checksum"] = manifest["checksum"][::-1]
    with browser.new_context() as context:
        altered.serve_manifest(context, canonical.dumps(manifest))
        desk = Desk(context.new_page(), server, f"?model={STORYTELLER}")
        desk.reaches("manifest-drift")
        assert desk.code == "ManifestDrift"
        assert desk.enabled() == {"reload"}
        for method, *arguments in (("load", STORYTELLER), ("generate", "a", {}), ("step",), ("reset",), ("free",)):
            assert desk.refused(method, *arguments)["code"] == "ManifestDrift"
        assert desk.state == "manifest-drift"
        assert [url for url in desk.requests if ".slm" in url] == []
        assert desk.page.workers == []

        context.unroute_all()
        desk.press("reload")
        desk.reaches("model-ready")
        assert desk.code == ""
        assert len(desk.tokens("The cat", temperature=0, max_tokens=4)) == 4
        assert desk.errors == []
