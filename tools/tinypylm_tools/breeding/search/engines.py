"""Where candidates are bred and scored: in this process, in several, or on Ray. The results are the same."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from tinypylm.errors import ErrorCode, SlmError, ToolError
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.child import breed
from tinypylm_tools.breeding.search.genome import Genome
from tinypylm_tools.evaluation.runner import Runner

ENGINES = ("local", "ray")


@dataclass(frozen=True, slots=True)
class World:
    """What all candidates share."""

    base: bytes | None
    parents: tuple[bytes, ...]
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A child's digest and its score, -sum(log2 p) in millionths over so many bytes; or the code of the refusal."""

    child_sha256: str = ""
    microbits: int = 0
    bytes_scored: int = 0
    refused: str = ""


Evaluate = Callable[[Sequence[Genome]], Iterator[Outcome]]


def evaluate(world: World, genome: Genome) -> Outcome:
    """Breeds one candidate and scores it. A refusal is an outcome, not an error."""
    try:
        base = world.base if OPERATORS[genome.operator].base else None
        child = breed(genome.operator, genome.given, world.parents, base=base).child
        microbits, size = score(child, world.documents)
    except SlmError as error:
        return Outcome(refused=str(error.code))
    return Outcome(sha256(child).hexdigest(), microbits, size)


def score(model: bytes, documents: Sequence[str]) -> tuple[int, int]:
    """-sum(log2 p) of the documents in millionths, and the bytes that they are scored over."""
    runner = Runner(model)
    try:
        rows = [runner.microbits(document) for document in documents]
    finally:
        runner.close()
    return sum(bits for bits, _, _ in rows), sum(size for _, size, _ in rows)


@contextmanager
def open_engine(name: str, world: World, jobs: int) -> Iterator[Evaluate]:
    """A function that evaluates candidates, several at a time. Raises ToolError where Ray is not installed."""
    if name == "ray":
        with _ray(world, jobs) as evaluated:
            yield evaluated
    elif jobs == 1:
        yield partial(map, partial(evaluate, world))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _take_world, (world,)) as pool:
            yield partial(pool.map, _evaluate_here)


_worlds: list[World] = []


def _take_world(world: World) -> None:
    _worlds[:] = [world]


def _evaluate_here(genome: Genome) -> Outcome:
    return evaluate(_worlds[0], genome)


@contextmanager
def _ray(world: World, jobs: int) -> Iterator[Evaluate]:
    """The cluster of RAY_ADDRESS, or one of `jobs` processes on this machine."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise ToolError(ErrorCode.PACKAGE_MISSING, "the engine ray needs the package ray; pip install "
                        "'tinypylm[search]', or use --engine local.", {"package": "ray"}) from error
    size = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs}
    ray.init(include_dashboard=False, log_to_driver=False, **size)
    try:
        remote, shared = ray.remote(evaluate), ray.put(world)
        yield lambda genomes: map(ray.get, [remote.remote(shared, genome) for genome in genomes])
    finally:
        ray.shutdown()
