"""Everything that a report states, gathered from the records of one entry, the walk over them, and the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ProvenanceError, ToolError
from tinypylm.format import Model
from tinypylm.provenance import scores
from tinypylm.provenance.derivation import Stacked
from tinypylm.provenance.fingerprint import f32_of_bits
from tinypylm.provenance.registry import EVIDENCE
from tinypylm.provenance.schema import fields, items, number
from tinypylm.selector import Verified
from tinypylm_tools.adapters.materialise import materialise
from tinypylm_tools.adapters.package_file import open_package
from tinypylm_tools.benchmark.chart import Chart
from tinypylm_tools.breeding.difference import Distance, distances
from tinypylm_tools.breeding.parents import open_parent
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.parents import find_parents
from tinypylm_tools.evidence.walk import verify, verify_parents
from tinypylm_tools.model_file import ModelFile, open_model
from tinypylm_tools.report.ancestry import Known, Node, ancestry


@dataclass(frozen=True, slots=True)
class Walked:
    """What `tinypylm verify` finds: the steps that hold, and the error that ends the walk, if one does."""

    steps: tuple[Verified, ...]
    error: ProvenanceError | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A model on the evaluation's items. `documents` are its microbits, one for each, where a record has them.

    `by_other_code`: from an evaluation of its own, which other sources of runtime and runner made.
    """

    name: str
    sha256: str
    passed: int
    microbits: int
    documents: tuple[int, ...] | None
    by_other_code: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The weights of the model against those of `name`: a row for each tensor and one for all, or why there is none."""

    name: str
    rows: tuple[Distance, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The entry's records by component, all of which keep their schema, and what follows from them."""

    name: str
    model: Model
    records: Mapping[str, JsonObject]
    stack: tuple[Stacked, ...]
    walked: Walked
    known: Known
    scored: tuple[Scored, ...]
    changes: tuple[Change, ...]
    ancestry: tuple[Node, ...]
    losses: Chart | None = None

    @property
    def documents(self) -> list[JsonObject]:
        """Of all held-out texts, in order."""
        return _documents(self.records["evaluation"])

    def mark(self, name: str) -> int:
        """The same for a model in every plot; 0 is this one's."""
        names = dict.fromkeys((*(one.name for one in self.scored), *(one.name for one in self.changes), name))
        return list(names).index(name)


def gather(folder: Folder, name: str, search: Sequence[Path] = (), against: Sequence[Path] = ()) -> Facts:
    """search: further folders in which a parent may lie; against: further models to compare weights and bits with.

    A chain that does not hold is a fact of its own. Raises ToolError or ProvenanceError where a record is missing or
    cannot be read, FormatError for a file that is no model.
    """
    records = {component: folder.load(component, name) for component in ("manifest", *EVIDENCE)}
    scores.check_evaluation(records["evaluation"])
    file, known = open_model(folder.root / str(records["manifest"]["file"])), Known.of(folder)
    stack = tuple(folder.adapter_of(fields(one)) for one in items(records["evaluation"]["adapters"]))
    others = [open_model(path) for path in against]
    return Facts(
        name, file.model, records, stack, walked(folder, name, records["receipt"], search), known,
        tuple(_scored(folder, known, name, records["evaluation"], [other.sha256 for other in others])),
        tuple(_changes(folder, known, file, records["receipt"], stack, search, others)),
        tuple(ancestry(known, name, records["receipt"], stack)))


def walked(folder: Folder, name: str, receipt: JsonObject, search: Sequence[Path]) -> Walked:
    """The same walk as that of `tinypylm verify`, without replay."""
    steps: list[Verified] = []
    try:
        verify(folder, name, steps.append)
        verify_parents(folder, receipt, search, rebuild=False, on_step=steps.append)
    except ProvenanceError as error:
        return Walked(tuple(steps), error)
    return Walked(tuple(steps), None)


def _scored(
    folder: Folder, known: Known, name: str, evaluation: JsonObject, against: Sequence[str]
) -> Iterator[Scored]:
    """The model, its compared parents with the best one first, then others from their own evaluations."""
    yield _own(name, evaluation)
    own = dict(_own_evaluations(folder, evaluation))
    parents: dict[str, Scored] = {}
    if "comparison" in evaluation:
        parents = {one.sha256: one for one in _parents(known, fields(evaluation["comparison"]), own)}
        yield from parents.values()
    for sha256 in dict.fromkeys(against):
        if sha256 in own and sha256 not in parents:
            by_other_code = own[sha256]["runner"] != evaluation["runner"]
            yield replace(_own(known.name(sha256), own[sha256]), by_other_code=by_other_code)


def _own(name: str, evaluation: JsonObject) -> Scored:
    bits = tuple(number(document["microbits"]) for document in _documents(evaluation))
    passed = sum(fields(case)["outcome"] == "passed" for case in items(evaluation["cases"]))
    return Scored(name, str(evaluation["sha256"]), passed, sum(bits), bits)


def _parents(known: Known, comparison: JsonObject, own: Mapping[str, JsonObject]) -> Iterator[Scored]:
    """A comparison has single documents of the best parent only; of others their own evaluations may have them."""
    best = tuple(bits for row in items(comparison["microbits"]) for bits in scores.integers(row))
    parents = map(fields, items(comparison["parents"]))
    for parent in sorted(parents, key=lambda one: one["sha256"] != comparison["best"]):
        sha256, total = str(parent["sha256"]), number(parent["microbits"])
        documents: tuple[int, ...] | None = best
        if sha256 != comparison["best"]:
            found = [number(document["microbits"]) for document in _documents(own.get(sha256, {"texts": []}))]
            documents = tuple(found) if sum(found) == total else None
        yield Scored(known.name(sha256), sha256, number(parent["passed"]), total, documents)


def _own_evaluations(folder: Folder, evaluation: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Evaluations of bare models of the folder on the same items, by digest."""
    for name in folder.names():
        try:
            found = folder.load("evaluation", name)
            scores.check_evaluation(found)
        except (ToolError, ProvenanceError):
            continue
        if not items(found["adapters"]) and _items(found) == _items(evaluation):
            yield str(found["sha256"]), found


def _items(evaluation: JsonObject) -> list[object]:
    texts = [fields(text)["sha256"] for text in items(evaluation["texts"])]
    documents = [(document["sha256"], document["bytes"]) for document in _documents(evaluation)]
    return [evaluation["suites"], texts, documents]


def _documents(evaluation: JsonObject) -> list[JsonObject]:
    return [fields(document) for text in items(evaluation["texts"]) for document in items(fields(text)["documents"])]


def _changes(
    folder: Folder, known: Known, file: ModelFile, receipt: JsonObject, stack: Sequence[Stacked],
    search: Sequence[Path], against: Sequence[ModelFile],
) -> Iterator[Change]:
    """Against the file itself where adapters are attached to it, then against every parent, then against others."""
    data = file.data
    if stack:
        data = _with_adapters(folder, file, stack)
        yield _change(known.name(file.sha256), data, file.data)
    for parent in items(receipt["parents"]):
        name = known.name(str(fields(parent)["sha256"]))
        try:
            found = find_parents(folder, {"parents": [parent]}, search)
        except ProvenanceError as error:
            yield Change(name, missing=str(error.code))
        else:
            yield _change(name, data, found[0])
    for other in against:
        yield _change(known.name(other.sha256), data, other.data)


def _change(name: str, data: bytes, other: bytes) -> Change:
    return Change(name, tuple(distances(open_parent("reference", other), open_parent("parent", data))))


def _with_adapters(folder: Folder, file: ModelFile, stack: Sequence[Stacked]) -> bytes:
    packages = [open_package(folder.root / "adapters" / str(one.manifest["file"])) for one in stack]
    scaled = [(package.package, scale_of(one)) for package, one in zip(packages, stack, strict=True)]
    return materialise(file, scaled, [package.sha256 for package in packages])


def scale_of(adapter: Stacked) -> float:
    """The scale on top of the package's own."""
    return f32_of_bits(adapter.scale_bits)
