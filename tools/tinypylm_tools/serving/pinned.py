"""The files of a folder of models that its registry stands for, each by size and SHA-256: what pages ask for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinypylm import selector
from tinypylm.canonical import JsonObject
from tinypylm.provenance import ledger, records
from tinypylm.provenance.derivation import Pin
from tinypylm.provenance.records import RecordKind
from tinypylm.provenance.registry import LEDGER_PATH, REGISTRY_PATH, path_of
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.file_bytes import read_file


def read_registry(models: Path) -> tuple[bytes, JsonObject]:
    """The registry as bytes and as a record, if the ledger beside it is the one that it pins. Raises SlmError."""
    data = read_file(models / REGISTRY_PATH)
    registry = records.load(data, RecordKind.REGISTRY)
    ledger.check_pin(ledger.read(read_file(models / LEDGER_PATH)), fields(registry["ledger"]))
    return data, registry


def offered(registry: JsonObject) -> list[JsonObject]:
    """The entries that a page can load."""
    return [entry for entry in map(fields, items(registry["models"])) if entry["enabled"]]


def pins(models: Path, registry: bytes, name: str) -> dict[str, Pin]:
    """Every file but registry and ledger that the plan of the entry `name` takes, by component. Raises SlmError."""
    plan = read_file(models / path_of("plan", name))
    return {**selector.verify_plan(name, registry, plan).pins}


def proven(models: Path, registry: bytes, name: str) -> list[Pin]:
    """The same files after the walk of `tinypylm verify` over all of them. Raises SlmError where it does not hold."""
    planned = pins(models, registry, name)
    files = {component: read_file(models / pin.path) for component, pin in planned.items()}
    selector.verify_assembly(name, {**files, "registry": registry, "ledger": read_file(models / LEDGER_PATH)})
    return [*planned.values()]


def chosen(registry: JsonObject, names: Sequence[str]) -> JsonObject:
    """The registry with these entries alone, as they are. Raises ProvenanceError (EntryUnknown, EntryDisabled)."""
    entries = [selector.find_entry(registry, name) for name in dict.fromkeys(names)]
    return {**registry, "models": [*sorted(entries, key=lambda entry: str(entry["id"]))]}
