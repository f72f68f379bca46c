"""`tinypylm bench`: the bench page in a real browser, for models of the tree and for shapes with random weights."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.bench_models import SHAPES, random_model
from tinypylm_tools.browser import find_browser, launch_arguments
from tinypylm_tools.slm_writer import write_atomically

ROOT = Path(__file__).resolve().parents[3]
_DEFAULT_MODELS = ("models/storyteller-2m-q8_0.slm", "models/storyteller-2m-q4_0.slm", "models/storyteller-2m-f32.slm")
_DEFAULT_SHAPES = ("A:q8_0", "A:q4_0", "twelve:q8_0")
_TIMEOUT_MS = 600_000
_ENDED = "#bench-status:is([data-state=done], [data-state=failed])"
Report = dict[str, Any]


@click.command()
@click.argument("models", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--shape", "shapes", multiple=True, metavar="NAME:TYPE",
              help=f"Random weights in a shape ({', '.join(SHAPES)}) and type, for example A:q8_0; may be repeated.")
@click.option("--runs", type=click.IntRange(1, 50), default=5, show_default=True, help="Counted runs of each model.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
def command(models: tuple[Path, ...], shapes: tuple[str, ...], runs: int, json_file: Path | None) -> None:
    """Measure MODELS and shapes in Chromium, one thread, against the limit that the best kernel sets in the same run.

    Without any, the models of this tree and the shapes A (q8_0, q4_0) and twelve (q8_0) are measured.

    \b
    Example:
      tinypylm bench
      tinypylm bench story.slm --shape C:q4_0 --runs 3 --json figures.json
    """
    if not models and not shapes:
        models, shapes = tuple(ROOT / name for name in _DEFAULT_MODELS), _DEFAULT_SHAPES
    with tempfile.TemporaryDirectory() as folder:
        files = [*models, *(_random(name, Path(folder)) for name in shapes)]
        with _server() as address:
            browser, reports = _measure(address, files, runs)
    document = {"machine": _machine(), "browser": browser, "date": datetime.now(UTC).date().isoformat(),
                "results": [row for name, report in reports.items() for row in _results(name, report, runs)]}
    click.echo(_table(document, reports))
    if json_file:
        write_atomically(json_file, json.dumps(document | {"reports": reports}, indent=1).encode() + b"\n")


def _random(name: str, folder: Path) -> Path:
    shape, _, dtype = name.partition(":")
    types = {t.label: t for t in DType}
    if shape not in SHAPES or dtype not in types:
        raise ToolError(ErrorCode.UNKNOWN_OPTION, f"the shape {name!r} is unknown; write NAME:TYPE with NAME one of "
                        f"{', '.join(SHAPES)} and TYPE one of {', '.join(types)}")
    path = folder / f"{shape}-{dtype}.slm"
    path.write_bytes(random_model(SHAPES[shape], types[dtype]))
    return path


@contextmanager
def _server() -> Iterator[str]:
    """The address of a serve.py of this tree, on a free port."""
    if not (ROOT / "serve.py").is_file():
        raise ToolError(ErrorCode.MISSING_FILE, f"{ROOT / 'serve.py'} is missing: run the benchmark from a clone")
    command_line = [sys.executable, str(ROOT / "serve.py"), "--port", "0"]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = server.stdout.readline().strip()
        if not address:
            raise ToolError(ErrorCode.MISSING_FILE, "serve.py did not start; its message stands above")
        try:
            yield address
        finally:
            server.terminate()


def _measure(address: str, files: list[Path], runs: int) -> tuple[str, dict[str, Report]]:
    """The browser's name and, by file name, what the bench page reports; a fresh page for each model."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - an extra: only this command needs it
    except ImportError:
        raise ToolError(ErrorCode.MISSING_FILE, "the benchmark drives a browser through playwright, which is not "
                        "installed: pip install -e '.[test]'") from None
    reports = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=launch_arguments())
        with click.progressbar(files, label="Measuring", file=sys.stderr) as progress:
            for file in progress:
                page = chromium.new_page()
                page.goto(f"{address}bench.html")
                page.wait_for_selector("#bench-status[data-state=idle]", timeout=_TIMEOUT_MS)
                page.fill("#bench-runs", str(runs))
                page.set_input_files("#bench-file", file)
                page.wait_for_selector(_ENDED, timeout=_TIMEOUT_MS)
                if page.get_attribute("#bench-status", "data-state") == "failed":
                    raise ToolError(ErrorCode.RUNTIME_FAILED, f"{file.name}: {page.inner_text('#bench-status')}")
                reports[file.stem] = page.evaluate("window.tinypylmBench")
                page.close()
        return f"Chromium {chromium.version}", reports


def _results(name: str, report: Report, runs: int) -> Iterator[Report]:
    """One row for each metric, with the machine's limit beside the rate that it bounds."""
    limits = {"decode_tokens_per_second": report["limit_tokens_per_second"]}
    for metric in ("decode_tokens_per_second", "delivered_tokens_per_second", "prompt_tokens_per_second",
                   "time_to_first_token_ms"):
        spread = report[metric]
        yield {"shape": name, "quantization": report["figures"]["quantization"], "threads": 1, "metric": metric,
               "ours": spread["median"], "low": spread["low"], "high": spread["high"], "runs": runs,
               "limit": limits.get(metric), "peers": {}}


def _table(document: Report, reports: dict[str, Report]) -> str:
    """Markdown, as the README shows it."""
    lines = [
        f"{document['browser']}, {document['machine']}, {document['date']}, one thread; median (lowest to highest).",
        "",
        "| model | decode tok/s | limit tok/s | share | delivered to the page tok/s | prompt tok/s | first token ms "
        "| emit + compile ms | linear memory bytes |", "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, report) for name, report in reports.items()]
    return "\n".join(lines)


def _row(name: str, report: Report) -> str:
    figures = report["figures"]
    cells = [
        name, _spread(report["decode_tokens_per_second"]), f"{report['limit_tokens_per_second']:,.0f}",
        f"{report['share_of_limit']:.0%}", _spread(report["delivered_tokens_per_second"]),
        _spread(report["prompt_tokens_per_second"]), _spread(report["time_to_first_token_ms"], 1),
        f"{figures['emit_ms'] + figures['compile_ms']:.0f}", f"{figures['linear_memory_bytes']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def _spread(spread: Report, digits: int = 0) -> str:
    return f"{spread['median']:,.{digits}f} ({spread['low']:,.{digits}f} to {spread['high']:,.{digits}f})"


def _machine() -> str:
    """Processor and cores, as the system names them."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return f"{models[0] if models else name}, {len(models)} cores"
    return name
