"""The bench page as a person uses it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_a_model_is_chosen_then_measured(page: Page, server: str) -> None:
    page.goto(f"{server}bench.html")
    status = page.locator("#bench-status")
    expect(status).to_have_attribute("data-state", "idle", timeout=30_000)
    expect(page.locator("#bench-start")).to_be_disabled()
    page.select_option("#bench-model", index=1)
    expect(status).to_have_attribute("data-state", "loaded", timeout=30_000)
    page.fill("#bench-runs", "1")
    page.click("#bench-start")
    expect(status).to_have_attribute("data-state", "done", timeout=60_000)
    expect(page.locator("#bench-report")).to_contain_text("Share of the limit")


def test_a_model_that_does_not_come_leaves_a_page_that_works(page: Page, server: str, page_errors: list[str]) -> None:
    page.route("**/models/*.slm", lambda route: route.abort())
    page.goto(f"{server}bench.html")
    status = page.locator("#bench-status")
    expect(status).to_have_attribute("data-state", "idle", timeout=30_000)
    page.select_option("#bench-model", index=1)
    expect(status).to_have_attribute("data-state", "failed", timeout=30_000)
    expect(status).to_contain_text("[FetchFailed]")
    expect(page.locator("#bench-model")).to_be_enabled()
    assert all("net::ERR_FAILED" in error for error in page_errors)
    page_errors.clear()


def test_a_file_that_is_no_model_is_refused_with_its_code(page: Page, server: str) -> None:
    page.goto(f"{server}bench.html")
    status = page.locator("#bench-status")
    expect(status).to_have_attribute("data-state", "idle", timeout=30_000)
    page.set_input_files("#bench-file", {"name": "x.slm", "mimeType": "", "buffer": b"nothing of the kind"})
    expect(status).to_have_attribute("data-state", "failed", timeout=30_000)
    expect(status).to_contain_text("[")
    expect(page.locator("#bench-start")).to_be_disabled()
