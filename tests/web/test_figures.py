"""The figures: each is documented, shown from the start, and live."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.session.scripted_model import scripted_model
from tests.web.desk import LONG_ENOUGH_MS, Desk
from tinypylm.memory import CHUNK_TOKENS, plan_memory

pytestmark = pytest.mark.browser

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \|", DOCUMENT.split("\n## Figures\n")[1].split("\n## ")[0], re.MULTILINE)
DOCUMENTED = re.findall(r"`(\w+)`", " ".join(ROWS))
ENDLESS = scripted_model(b"abcdefgh", context_length=32768, ends=False)


def shown(desk: Desk) -> dict[str, str]:
    cells = desk.page.locator("#diagnostics [data-key]")
    return dict(cells.evaluate_all("all => all.map((cell) => [cell.dataset.key, cell.textContent])"))


def test_the_figures_shown_are_the_figures_documented(desk: Desk):
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    assert sorted(shown(desk)) == sorted(DOCUMENTED)


def test_each_figure_has_a_value_after_a_generation(writer: Desk):
    writer.tokens("The cat", temperature=0, max_tokens=8)
    figures: dict[str, Any] = writer.page.evaluate("tinypylm.diagnostics()")
    assert sorted(figures) == sorted(DOCUMENTED)
    empty = {name for name, value in figures.items() if value is None}
    assert empty <= {"last_error_code", "last_adapter_checksum", "module_4_phase", "module_5_phase"}
    expect(writer.page.locator('[data-key="generated_tokens"]')).to_have_text("8")
    texts = shown(writer)
    for name, value in figures.items():
        if isinstance(value, str):
            assert texts[name] == value
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and not name.endswith("_per_second"):
            assert float(texts[name]) == pytest.approx(value, abs=0.001)


def test_figures_are_those_of_the_model_and_of_the_context(writer: Desk, repo_root: Path):
    from tinypylm.format import parse

    model = parse((repo_root / "models" / "storyteller-2m-q8_0.slm").read_bytes())
    plan = plan_memory(model.config, model.file_bytes)
    loaded = writer.page.evaluate("tinypylm.diagnostics()")
    assert loaded["scratch_arena_peak_bytes"] == 0
    writer.tokens("The cat and the dog went to the park and played there all day long, and then", max_tokens=8)
    figures = writer.page.evaluate("tinypylm.diagnostics()")
    assert figures["prompt_tokens"] >= CHUNK_TOKENS
    assert figures["kv_cache_tokens"] == figures["prompt_tokens"] + 7
    assert figures["kv_cache_bytes"] == plan.kv_cache_bytes
    assert figures["scratch_arena_bytes"] == plan.scratch_arena_bytes
    assert figures["scratch_arena_peak_bytes"] == plan.scratch_peak_bytes(CHUNK_TOKENS, figures["threads"])
    assert figures["linear_memory_bytes"] == plan.total_bytes
    assert figures["quantization"] == "q8_0"
    assert figures["engine"].startswith("Chrome ")


def test_figures_move_while_a_text_is_written(desk: Desk):
    desk.open_file("endless.slm", ENDLESS)
    desk.write("a", max_tokens=32000)
    desk.press("generate")
    cell = desk.page.locator('[data-key="generated_tokens"]')
    expect(cell).not_to_have_text("0", timeout=LONG_ENOUGH_MS)
    first = int(cell.text_content() or "")
    expect(cell).not_to_have_text(str(first), timeout=LONG_ENOUGH_MS)
    desk.press("stop")
    desk.reaches("context-ready")
    assert int(desk.figure("generated_tokens")) > first > 0


def test_the_last_error_stays_until_another_comes(writer: Desk):
    writer.refused("generate", "", {})
    assert writer.figure("last_error_code") == "EmptyPrompt"
    writer.tokens("The cat", max_tokens=2)
    assert (writer.code, writer.figure("last_error_code")) == ("", "EmptyPrompt")
    writer.refused("generate", "a", {"top_k": 0})
    assert writer.figure("last_error_code") == "OptionOutOfRange"


def test_the_ledger_is_a_table_with_a_row_for_each_fetch(writer: Desk, repo_root: Path):
    size = (repo_root / "models" / "storyteller-2m-q8_0.slm").stat().st_size
    heads = writer.page.locator("#fetches thead th").all_inner_texts()
    assert heads == ["what", "from", "declared", "accepted", "SHA-256", "outcome"]
    row = writer.page.locator("#fetches tbody tr").last.locator("td").all_inner_texts()
    assert row[0] == "model"
    assert row[2:4] == [str(size), str(size)]
    assert (len(row[4]), row[5]) == (8, "accepted")
