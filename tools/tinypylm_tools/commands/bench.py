"""`tinypylm bench`: models and shapes with random weights in a real browser, alone or beside other people's engines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path

import click

from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.memory import KVCache
from tinypylm_tools.bench_models import SHAPES, random_model
from tinypylm_tools.benchmark import results
from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.benchmark.comparison import Comparison
from tinypylm_tools.benchmark.curves import scaling
from tinypylm_tools.benchmark.endless import endless
from tinypylm_tools.benchmark.peers import NAMES, fetch_peers
from tinypylm_tools.benchmark.stage import Stage, Subject, open_stage
from tinypylm_tools.model_file import open_model
from tinypylm_tools.serving.terminal import Terminal
from tinypylm_tools.slm_writer import make_folder, write_atomically

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ROOT / ".tests" / "peers"
_DEFAULT_MODELS = ("models/storyteller-2m-q8_0.slm", "models/storyteller-2m-q4_0.slm", "models/storyteller-2m-f32.slm")
_DEFAULT_SHAPES = ("A:q8_0", "A:q4_0", "twelve:q8_0")
_COMPARED_SHAPES = ("A:q8_0", "A:q4_0", "B:q4_0", "C:q4_0")


@click.command()
@click.argument("models", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--shape", "shapes", multiple=True, metavar="NAME:TYPE",
              help=f"Random weights in a shape ({', '.join(SHAPES)}) and type, for example A:q8_0; may be repeated.")
@click.option("--peer", "peers", multiple=True, type=click.Choice(NAMES),
              help="Measure this engine in turns with ours, on shapes; fetched through npm; may be repeated.")
@click.option("--threads", multiple=True, type=click.IntRange(1, 64), default=(1,), show_default=True,
              help="Threads of each engine; may be repeated.")
@click.option("--kv-cache", type=click.Choice(list(map(str, KVCache))), default=str(KVCache.F32), show_default=True,
              help="How our engine keeps keys and values.")
@click.option("--runs", type=click.IntRange(1, 50), default=5, show_default=True, help="Counted runs of each engine.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here.")
@click.option("--plots", type=click.Path(file_okay=False, path_type=Path),
              help="Draw speed by position, prompt length and threads into this folder, as SVG.")
def command(
    models: tuple[Path, ...], shapes: tuple[str, ...], peers: tuple[str, ...], threads: tuple[int, ...], kv_cache: str,
    runs: int, json_file: Path | None, plots: Path | None,
) -> None:
    """Measure MODELS and shapes in Chromium against the limit that the best kernel sets in the same run.

    Without any, the models of this tree and the shapes A (q8_0, q4_0) and twelve (q8_0) are measured; beside a peer,
    the shapes A (q8_0, q4_0), B and C (q4_0).

    \b
    Example:
      tinypylm bench
      tinypylm bench story.slm --shape C:q4_0 --runs 3 --json figures.json
      tinypylm bench --peer wllama --shape A:q8_0 --threads 1 --threads 2
    """
    if models and peers:
        raise click.UsageError("peers are measured on shapes: name some with --shape instead of model files.")
    if not models and not shapes:
        shapes = _COMPARED_SHAPES if peers else _DEFAULT_SHAPES
        models = () if peers else tuple(ROOT / name for name in _DEFAULT_MODELS)
    chosen = [_shape(name) for name in dict.fromkeys(shapes)]
    if plots:
        make_folder(plots)
    fetched = fetch_peers(tuple(dict.fromkeys(peers)), PACKAGES)
    with tempfile.TemporaryDirectory() as folder, open_stage(ROOT, fetched, PACKAGES, KVCache(kv_cache)) as stage:
        subjects = [*(_endless(path, Path(folder) / str(number)) for number, path in enumerate(models)),
                    *(_random(name, dtype, Path(folder)) for name, dtype in chosen)]
        done = _measure(stage, subjects, dict.fromkeys(threads), runs, json_file)
        click.echo(results.table(results.document(stage.browser_name, done)))
        if plots:
            _draw(plots, _charts(stage, subjects, done))


def _measure(
    stage: Stage, subjects: list[Subject], threads: Iterable[int], runs: int, json_file: Path | None
) -> list[Comparison]:
    """All comparisons; the JSON is written after each, since a run takes minutes and what is measured is measured."""
    done: list[Comparison] = []
    for subject, n in product(subjects, threads):
        Terminal().say(f"measuring {subject.title(n)}")
        done.append(stage.compare(subject, n, runs, _saying(subject, n)))
        if json_file:
            document = results.document(stage.browser_name, done)
            write_atomically(json_file, json.dumps(document, indent=1).encode() + b"\n")
    return done


def _saying(subject: Subject, threads: int) -> Callable[[str], None]:
    """One line of the terminal that says what is going on."""
    return lambda text: Terminal().tick(f"{subject.title(threads)}: {text}")


def _draw(folder: Path, charts: Iterable[tuple[str, Chart]]) -> None:
    for name, chart in charts:
        write_atomically(folder / f"{name}.svg", chart.svg().encode())


def _charts(stage: Stage, subjects: list[Subject], done: list[Comparison]) -> Iterator[tuple[str, Chart]]:
    """Curves of every subject, with the first number of threads; scaling where there are several."""
    for subject in subjects:
        of_subject = [one for one in done if (one.shape, one.quantization) == (subject.shape, subject.quantization)]
        threads = of_subject[0].threads
        for name, chart in stage.curves(subject, threads, _saying(subject, threads)).items():
            yield f"{subject.file.path.stem}-{name}", chart
        if len(of_subject) > 1:
            yield f"{subject.file.path.stem}-threads", scaling(f"{subject.shape} {subject.quantization}", of_subject)


def _shape(name: str) -> tuple[str, DType]:
    shape, _, dtype = name.partition(":")
    types = {t.label: t for t in DType}
    if shape not in SHAPES or dtype not in types:
        raise ToolError(ErrorCode.UNKNOWN_OPTION, f"the shape {name!r} is unknown; write NAME:TYPE with NAME one of "
                        f"{', '.join(SHAPES)} and TYPE one of {', '.join(types)}")
    return shape, types[dtype]


def _endless(path: Path, folder: Path) -> Subject:
    """The model as it is measured, in a folder of its own: two files may have one name."""
    folder.mkdir()
    copy = folder / path.name
    copy.write_bytes(endless(open_model(path)))
    return Subject(path.stem, open_model(copy))


def _random(shape: str, dtype: DType, folder: Path) -> Subject:
    path = folder / f"{shape}-{dtype.label}.slm"
    path.write_bytes(random_model(SHAPES[shape], dtype))
    return Subject(shape, open_model(path))
