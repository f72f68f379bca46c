"""How long the page takes to apply a stack of adapters and to take it off: `python -m tests.adapter_times`.

The benchmark's shape A as q8_0 (16 MB), an ALR1 of rank 2 over all matrices and an ASP1 of 0.25 % of the weights.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tinypylm.adapters import PackageFormat
from tinypylm.config import DType
from tinypylm_tools.adapters.make import Recipe, make
from tinypylm_tools.bench_models import SHAPES, random_model
from tinypylm_tools.benchmark.site import own_site
from tinypylm_tools.browser import find_browser, launch_arguments
from tinypylm_tools.model_file import ModelFile, open_model

ROOT = Path(__file__).resolve().parents[1]
TIMES = 5
RECIPES = (Recipe(PackageFormat.ALR1, rank=2), Recipe(PackageFormat.ASP1, keep_ppm=2_500))
MEASURE = """async ([packages, times]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const rows = [];
  for (let n = 0; n < times; n++) {
    const began = performance.now();
    for (const text of packages) await tinypylm.applyAdapter(bytes(text));
    const applied = performance.now();
    await tinypylm.detachAdapters();
    rows.push([applied - began, performance.now() - applied]);
  }
  return rows;
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, own_site(ROOT) as address, sync_playwright() as playwright:
        base, child = (_model(Path(folder), seed) for seed in range(2))
        packages = [make(base, child, recipe).data for recipe in RECIPES]
        print(f"{sum(map(len, packages)):,} bytes of packages on a model of {len(base.data):,}")
        browser = playwright.chromium.launch(executable_path=find_browser(), args=launch_arguments())
        for applied, detached in _times(browser, address, base.path, packages):
            print(f"applied in {applied:.0f} ms, detached in {detached:.0f} ms")


def _model(folder: Path, seed: int) -> ModelFile:
    path = folder / f"{seed}.slm"
    path.write_bytes(random_model(SHAPES["A"], DType.Q8_0, seed))
    return open_model(path)


def _times(browser: Browser, address: str, model: Path, packages: list[bytes]) -> Iterator[tuple[float, float]]:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("#status[data-state=ready]")
    page.set_input_files("#model-file", model)
    page.wait_for_selector("#status[data-state=model-ready]")
    yield from page.evaluate(MEASURE, [[base64.b64encode(data).decode() for data in packages], TIMES])


if __name__ == "__main__":
    main()
