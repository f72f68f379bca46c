"""A folder of models with their evidence: where each component lies, and reading and writing records there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance import records
from tinypylm.provenance.derivation import ONE, Pin, Stacked
from tinypylm.provenance.records import RecordKind
from tinypylm.provenance.registry import EVIDENCE, LEDGER_PATH, REGISTRY_PATH, path_of
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.slm_writer import make_folder, write_atomically

COMPONENT_KINDS = {"manifest": RecordKind.MODEL_MANIFEST, "plan": RecordKind.MODULE_PLAN,
                   **{component: RecordKind(component) for component in EVIDENCE}}
_ADAPTER_KINDS = {"manifest": RecordKind.ADAPTER_MANIFEST, "receipt": RecordKind.ADAPTER_RECEIPT,
                  "evaluation": RecordKind.ADAPTER_EVALUATION}


@dataclass(frozen=True, slots=True)
class Folder:
    """`models/`, by its path."""

    root: Path

    @property
    def registry(self) -> Path:
        return self.root / REGISTRY_PATH

    @property
    def ledger(self) -> Path:
        return self.root / LEDGER_PATH

    def path(self, component: str, name: str) -> Path:
        """Where a record of the model `name` lies."""
        return self.root / path_of(component, name)

    def has(self, component: str, name: str) -> bool:
        return self.path(component, name).is_file()

    def load(self, component: str, name: str) -> JsonObject:
        """The record of a model. Raises ToolError (NoEvidence) where there is none, ProvenanceError."""
        return load_record(self.path(component, name), COMPONENT_KINDS[component])

    def save(self, component: str, name: str, body: JsonObject) -> Path:
        """Writes the record whole; the path of its file. Raises ProvenanceError for a body that is none."""
        path = self.path(component, name)
        save_record(path, COMPONENT_KINDS[component], body)
        return path

    def pin(self, path: str) -> Pin:
        """The pin of a file under the folder, as it is now. Raises ToolError."""
        data = read_file(self.root / path)
        return Pin(path, len(data), hashlib.sha256(data).hexdigest())

    def names(self) -> list[str]:
        """The models that have a folder of evidence."""
        return sorted(path.parent.name for path in self.root.glob("evidence/*/manifest.json"))

    def models(self) -> Iterator[Path]:
        """Every .slm file of the folder itself."""
        yield from sorted(self.root.glob("*.slm"))

    def adapter_manifests(self) -> Iterator[JsonObject]:
        """The manifest of every package, ascending by file name."""
        for path in sorted(self.root.glob("adapters/*.manifest.json")):
            yield load_record(path, RecordKind.ADAPTER_MANIFEST)

    def adapter(self, file: str, scale_bits: str = ONE) -> Stacked:
        """The adapter whose package is `file` under adapters/, with a scale on top of the package's own."""
        manifest, receipt, evaluation = (
            load_record(self.root / adapter_paths(file)[part], kind) for part, kind in _ADAPTER_KINDS.items())
        return Stacked(manifest, receipt, evaluation, scale_bits)

    def adapter_of(self, attached: JsonObject) -> Stacked:
        """The adapter that an evaluation names as {sha256, scale_bits}. Raises ToolError (NoEvidence)."""
        for manifest in self.adapter_manifests():
            if manifest["sha256"] == attached["sha256"]:
                return self.adapter(str(manifest["file"]), str(attached["scale_bits"]))
        raise ToolError(ErrorCode.NO_EVIDENCE, f"no manifest in {self.root / 'adapters'} is of the package "
                        f"{attached['sha256']}", {"sha256": str(attached["sha256"])})

    def family(self, adapter: Stacked) -> JsonObject:
        """The family that an adapter says it belongs to."""
        path = self.root / family_path(str(adapter.manifest["family"]))
        return load_record(path, RecordKind.ADAPTER_FAMILY)


def adapter_paths(file: str) -> dict[str, str]:
    """Where the parts of the adapter whose package is `file` lie."""
    stem = Path(file).stem
    return {**{part: f"adapters/{stem}.{part}.json" for part in _ADAPTER_KINDS}, "package": f"adapters/{file}"}


def family_path(name: str) -> str:
    return f"adapters/family/{name}.json"


def save_record(path: Path, kind: RecordKind, body: JsonObject) -> None:
    """Writes a record with its folder. Raises ProvenanceError, ToolError."""
    data = records.dump(kind, body)
    make_folder(path.parent)
    write_atomically(path, data)


def load_record(path: Path, kind: RecordKind) -> JsonObject:
    """The body of a record's file. Raises ToolError (NoEvidence) where there is none, ProvenanceError."""
    if not path.is_file():
        raise ToolError(ErrorCode.NO_EVIDENCE, f"{path} is missing: there is no {kind} record yet. docs/provenance.md "
                        "lists the commands that write them, in order.", {"path": str(path), "kind": str(kind)})
    try:
        return records.load(read_file(path), kind)
    except ProvenanceError as error:
        raise ProvenanceError(error.code, f"{path}: {error.message}", error.detail) from error
