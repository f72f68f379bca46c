"""An assembly: every file that a registry's entry plans, verified phase by phase from given bytes.

The same walk serves `tinypylm verify` and the page. Nothing is fetched here, and nothing is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import Detail, ProvenanceError, SlmError
from tinypylm.format import Model
from tinypylm.provenance import chain, derivation, ledger, records
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.derivation import Pin, difference
from tinypylm.provenance.records import RecordKind, identifier
from tinypylm.provenance.registry import (
    ADAPTER_AUTO_APPLY_BYTE_BUDGET,
    PHASES,
    SELECTOR_MODEL_BYTE_BUDGET,
    components,
    path_of,
)
from tinypylm.provenance.schema import fields, items, number
from tinypylm.source import HashedFile

Files = Mapping[str, bytes | memoryview]
"""The bytes of an assembly by component."""

_KINDS = {
    "manifest": RecordKind.MODEL_MANIFEST, "compatibility": RecordKind.COMPATIBILITY, "lineage": RecordKind.LINEAGE,
    "receipt": RecordKind.RECEIPT, "candidate": RecordKind.CANDIDATE, "evaluation": RecordKind.EVALUATION,
    "promotion": RecordKind.PROMOTION, "admission": RecordKind.ADMISSION, "family": RecordKind.ADAPTER_FAMILY,
}
_ADAPTER_KINDS = {
    "manifest": RecordKind.ADAPTER_MANIFEST, "receipt": RecordKind.ADAPTER_RECEIPT,
    "evaluation": RecordKind.ADAPTER_EVALUATION,
}
LOAD, MANIFEST, EVIDENCE, FAMILY = PHASES[:4]
PLAN_PHASE = "verify-module-plan"
"""Stands before the phases of the plan, since it reads them."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A step that holds, and what it found in a few words."""

    phase: str
    step: str
    found: str


@dataclass(frozen=True, slots=True)
class Planned:
    """An entry of the registry with its plan: what may be fetched, and what each file has to be.

    pins: by component, of everything but registry and ledger, whose pin is `ledger`.
    """

    entry: JsonObject
    plan: JsonObject
    ledger: JsonObject
    pins: Mapping[str, Pin]

    @property
    def stack(self) -> list[JsonObject]:
        """The adapters that the entry declares, in the order of application."""
        return [fields(adapter) for adapter in items(self.entry["adapters"])]


@dataclass(frozen=True, slots=True)
class Assembly:
    """A verified assembly: its records by component, and each step in order."""

    planned: Planned
    model: Model
    records: Mapping[str, JsonObject]
    steps: tuple[Verified, ...]


def verify_plan(name: str, registry: bytes | memoryview, plan: bytes | memoryview) -> Planned:
    """The plan of the entry `name`: the registry's rules, the plan's pin, and exactly the fetches that it may have.

    Raises ProvenanceError, whose detail names the step: `registry` or `plan`.
    """
    entry, pinned_ledger = verify_entry(name, registry)
    with _named(PLAN_PHASE, "plan"):
        pin = _pin_of(fields(entry["plan"]))
        if pin.path != path_of("plan", name):
            raise _disorder("path", pin.path, path_of("plan", name))
        _check_bytes(HashedFile.of(plan), pin, "plan")
        body = records.load(plan, RecordKind.MODULE_PLAN)
        pins = _check_plan(entry, body) | {"plan": pin}
    return Planned(entry, body, pinned_ledger, pins)


def verify_entry(name: str, registry: bytes | memoryview) -> tuple[JsonObject, JsonObject]:
    """The entry `name`, enabled and within the budgets, and the pin of the ledger. Raises ProvenanceError."""
    with _named(PLAN_PHASE, "registry"):
        listing = records.load(registry, RecordKind.REGISTRY)
        entry = find_entry(listing, name)
        check_budgets(entry)
    return entry, fields(listing["ledger"])


def find_entry(listing: JsonObject, name: str) -> JsonObject:
    """The enabled entry `name` of a registry. Raises ProvenanceError: EntryUnknown, EntryDisabled, RegistryRejected."""
    entries = [fields(entry) for entry in items(listing["models"])]
    named = [entry for entry in entries if entry["id"] == name]
    if len(named) > 1:
        raise ProvenanceError(ProvenanceCode.REGISTRY_REJECTED, f"two entries have the id {name!r}", {"id": name})
    if not named:
        known = ", ".join(str(entry["id"]) for entry in entries) or "nothing"
        raise ProvenanceError(ProvenanceCode.ENTRY_UNKNOWN, f"the registry has no entry {name!r}; it has {known}",
                              {"id": name})
    if not named[0]["enabled"]:
        raise ProvenanceError(
            ProvenanceCode.ENTRY_DISABLED, f"the entry {name!r} is disabled: its artefacts are in quarantine; admit "
            "the model again, or choose another one", {"id": name, "quarantine": str(named[0].get("quarantine", ""))})
    return named[0]


def check_budgets(entry: JsonObject) -> None:
    """The declared sizes are within the budgets. Raises ProvenanceError: ModelOverBudget, StackOverBudget."""
    if number(entry["bytes"]) > SELECTOR_MODEL_BYTE_BUDGET:
        raise ProvenanceError(
            ProvenanceCode.MODEL_OVER_BUDGET, f"the model declares {entry['bytes']:,} bytes, expected at most "
            f"{SELECTOR_MODEL_BYTE_BUDGET:,}", {"bytes": number(entry["bytes"]), "budget": SELECTOR_MODEL_BYTE_BUDGET})
    total = derivation.stack_bytes(entry["adapters"])
    if total > ADAPTER_AUTO_APPLY_BYTE_BUDGET:
        raise ProvenanceError(
            ProvenanceCode.STACK_OVER_BUDGET, f"the adapters declare {total:,} bytes together, expected at most "
            f"{ADAPTER_AUTO_APPLY_BYTE_BUDGET:,}", {"bytes": total, "budget": ADAPTER_AUTO_APPLY_BYTE_BUDGET})


def verify_assembly(
    name: str, files: Files, on_step: Callable[[Verified], None] = lambda step: None,
    model: HashedFile | None = None,
) -> Assembly:
    """All phases of the entry `name` over exactly the files that its plan names; `on_step` hears of steps that hold.

    `model` is the model's file where it is not among `files`, since the host has hashed it, which is quicker there.
    Adapters are verified as evidence; applying them is the engine's. Raises ProvenanceError, whose `detail` has `phase`
    and `step` of what failed; its code may be one of the format's, for a model that breaks those rules.
    """
    for component in ("registry", "plan"):
        if component not in files:
            raise _missing(component)
    planned = verify_plan(name, files["registry"], files["plan"])
    walk = _Walk(planned, files, on_step)
    walk.passed(PLAN_PHASE, "plan", f"{planned.plan['planned_fetch_count']} fetches")
    with _named(PLAN_PHASE, "files"):
        _check_components(files if model is None else {**files, "model": b""}, components(len(planned.stack)))
    parsed = walk.model(model or HashedFile.of(files["model"]))
    walk.evidence()
    walk.family()
    for index in range(len(planned.stack)):
        walk.adapter(index)
    return Assembly(planned, parsed, walk.records, tuple(walk.steps))


class _Walk:
    """The phases of one assembly, in order; `records` grows with each step."""

    def __init__(self, planned: Planned, files: Files, on_step: Callable[[Verified], None]):
        self.planned, self.files, self.on_step = planned, files, on_step
        self.records: dict[str, JsonObject] = {}
        self.steps: list[Verified] = []

    def passed(self, phase: str, step: str, found: str) -> None:
        verified = Verified(phase, step, found)
        self.steps.append(verified)
        self.on_step(verified)

    def model(self, file: HashedFile) -> Model:
        pin = self.planned.pins["model"]
        with _named(LOAD, "model"):
            _check_bytes(file, pin, "model")
        self.passed(LOAD, "model", f"{pin.size_bytes:,} bytes, sha256 {pin.sha256}")
        with _named(MANIFEST, "manifest"):
            self._load("manifest", _KINDS["manifest"])
            model = chain.check_manifest(self.records, file)
        self._say(MANIFEST, "manifest")
        return model

    def evidence(self) -> None:
        stack = [{key: adapter[key] for key in ("sha256", "scale_bits")} for adapter in self.planned.stack]
        for step in ("compatibility", "lineage", "receipt", "candidate", "evaluation", "promotion", "admission"):
            with _named(EVIDENCE, step):
                self._load(step, _KINDS[step])
                if step == "evaluation":
                    chain.check_sidecar(self.records, stack)
                else:
                    chain.CHECKS[step](self.records)
            self._say(EVIDENCE, step)
        with _named(EVIDENCE, "registry"):
            chain.check_entry(self.records, self.planned.entry)
        with _named(EVIDENCE, "ledger"):
            found = self._ledger()
        self.passed(EVIDENCE, "ledger", found)

    def _ledger(self) -> str:
        book = ledger.read(self.files["ledger"])
        ledger.check_pin(book, self.planned.ledger)
        citations = [(kind, identifier(_KINDS[kind], self.records[kind]))
                     for kind in ("candidate", "evaluation", "promotion", "admission")]
        admitted = ledger.check_admission(book, str(self.planned.entry["id"]), citations)
        return f"admitted {admitted.time}, line {admitted.seq + 1} of {len(book.entries)}"

    def family(self) -> None:
        with _named(FAMILY, "family"):
            if self.planned.stack:
                self._load("family", _KINDS["family"])
            declared = [adapter["sha256"] for adapter in self.planned.stack]
            admitted = [fields(adapter)["sha256"] for adapter in items(self.records["admission"]["adapters"])]
            if declared != admitted:
                raise ProvenanceError(ProvenanceCode.FAMILY_REJECTED, f"the registry declares the stack {declared}, "
                                      f"admitted is {admitted}", {})
            chain.check_family(self.records)
        if self.planned.stack:
            self._say(FAMILY, "family")
        else:
            self.passed(FAMILY, "family", "no adapters")

    def adapter(self, index: int) -> None:
        phase, step = PHASES[4 + index], f"adapter-{index}"
        with _named(phase, step):
            for part, kind in _ADAPTER_KINDS.items():
                self._load(f"{step}-{part}", kind)
            package = HashedFile.of(self.files[f"{step}-package"])
            _check_bytes(package, self.planned.pins[f"{step}-package"], f"{step}-package")
            chain.check_adapter(self.records, index, self.planned.entry)
        self._say(phase, f"{step}-manifest")

    def _load(self, component: str, kind: RecordKind) -> None:
        data = self.files[component]
        _check_bytes(HashedFile.of(data), self.planned.pins[component], component)
        self.records[component] = records.load(data, kind)

    def _say(self, phase: str, component: str) -> None:
        kind = _KINDS.get(component) or RecordKind.ADAPTER_MANIFEST
        self.passed(phase, component, identifier(kind, self.records[component]))


def _check_plan(entry: JsonObject, plan: JsonObject) -> dict[str, Pin]:
    """The pins of a plan that has exactly the fetches and phases of its entry's stack."""
    name, stack = str(entry["id"]), [fields(adapter) for adapter in items(entry["adapters"])]
    expected, fetches = components(len(stack)), [fields(fetch) for fetch in items(plan["fetches"])]
    if not len(expected) == len(fetches) == plan["planned_fetch_count"]:
        raise ProvenanceError(
            ProvenanceCode.PLAN_FETCH_COUNT, f"the plan says {plan['planned_fetch_count']} fetches and lists "
            f"{len(fetches)}, expected {len(expected)} for {len(stack)} adapters",
            {"planned_fetch_count": number(plan["planned_fetch_count"]), "expected": len(expected)})
    pins = {str(fetch["component"]): _pin_of(fetch) for fetch in fetches if fetch["pinned_by"] == "plan"}
    paths = {component: path_of(component, name) for component in ("registry", "plan", "ledger")}
    if pins.keys() | paths.keys() != set(expected):
        raise _disorder("fetches", [fetch["component"] for fetch in fetches], [*expected])
    derived = derivation.plan(name, paths, pins, len(stack))
    if place := difference(plan, derived):
        raise _disorder(place, plan[place.split(".", maxsplit=1)[0]], derived[place.split(".", maxsplit=1)[0]])
    _check_pins(entry, stack, pins)
    return pins


def _check_pins(entry: JsonObject, stack: list[JsonObject], pins: Mapping[str, Pin]) -> None:
    """Records lie in their places; model and packages are those of the entry."""
    found: dict[str, JsonValue] = {}
    expected: dict[str, JsonValue] = {}
    for component, pin in pins.items():
        if component in _KINDS and component != "family":
            found[component], expected[component] = pin.path, path_of(component, str(entry["id"]))
    declared = {"model": (entry, ""), **{
        f"adapter-{index}-package": (adapter, "adapters/") for index, adapter in enumerate(stack)}}
    for component, (file, folder) in declared.items():
        found[component] = pins[component].record()
        expected[component] = {"path": f"{folder}{file['file']}", "bytes": file["bytes"], "sha256": file["sha256"]}
    if place := difference(found, expected):
        raise _disorder(place, found[place.split(".", maxsplit=1)[0]], expected[place.split(".", maxsplit=1)[0]])


def _disorder(place: str, found: JsonValue, expected: JsonValue) -> ProvenanceError:
    return ProvenanceError(ProvenanceCode.PLAN_ORDER, f"{place} of the plan: found {found!r:.200}, expected "
                           f"{expected!r:.200}; admit the model again with `tinypylm admit`", {"path": place})


def _pin_of(fetch: JsonObject) -> Pin:
    return Pin(str(fetch["path"]), number(fetch["bytes"]), str(fetch["sha256"]))


def _check_bytes(file: HashedFile, pin: Pin, component: str) -> None:
    where: Detail = {"component": component, "path": pin.path}
    size = len(file.data)
    if size != pin.size_bytes:
        raise ProvenanceError(ProvenanceCode.RESPONSE_LENGTH, f"{pin.path} has {size:,} bytes, expected "
                              f"{pin.size_bytes:,}", {**where, "found": size, "expected": pin.size_bytes})
    found = file.sha256
    if found != pin.sha256:
        raise ProvenanceError(ProvenanceCode.RESPONSE_DIGEST, f"{pin.path} has the SHA-256 {found}, expected "
                              f"{pin.sha256}", {**where, "found": found, "expected": pin.sha256})


def _check_components(files: Files, expected: tuple[str, ...]) -> None:
    for component in expected:
        if component not in files:
            raise _missing(component)
    for component in files:
        if component not in expected:
            raise ProvenanceError(ProvenanceCode.FETCH_UNPLANNED, f"no plan names the component {component!r}",
                                  {"component": component})


def _missing(component: str) -> ProvenanceError:
    return ProvenanceError(ProvenanceCode.FETCH_MISSING, f"the planned component {component!r} is missing",
                           {"component": component, "phase": PLAN_PHASE, "step": "files"})


@contextmanager
def _named(phase: str, step: str) -> Iterator[None]:
    """An error from inside says in which phase and step it came up."""
    try:
        yield
    except SlmError as error:
        raise ProvenanceError(error.code, f"{step}: {error.message}",
                              {**error.detail, "phase": phase, "step": step}) from error


__all__ = ["Assembly", "Files", "Planned", "Verified", "check_budgets", "find_entry", "verify_assembly", "verify_entry",
           "verify_plan"]
