"""Receipt and manifest of an adapter package. What is said of its making is tried: it has to give the same bytes."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import tinypylm
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance import fingerprint
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.records import VERSION, RecordKind, identifier
from tinypylm_tools.evidence.adapters import find_base
from tinypylm_tools.evidence.folder import Folder, adapter_paths, save_record
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.model_file import ModelFile, open_model

_PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True)
class Origin:
    """How a package is said to have been made: out of its base and `target`, or from the folder `peft`."""

    target: Path | None = None
    peft: Path | None = None
    rank: int | None = None
    keep_ppm: int | None = None
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Naming:
    """What the package is called; its family, label and licence are derived from its base where none is given."""

    family: str | None = None
    label: str | None = None
    licence: str | None = None


def record_adapter(folder: Folder, file: str, origin: Origin, naming: Naming) -> JsonObject:
    """Writes receipt and manifest of the package `file` in adapters/, which `origin` gives again. Raises SlmError."""
    paths = adapter_paths(file)
    package = _part("package_file").open_package(folder.root / paths["package"])
    base = open_model(find_base(folder, package.package.base.sha256.hex()))
    made, operation = _made(base, package.package.format, origin)
    if made != package.data:
        raise ProvenanceError(
            ProvenanceCode.REPLAY_REJECTED, f"{file} has the SHA-256 {package.sha256}, making it again as stated gives "
            f"{hashlib.sha256(made).hexdigest()}", {"found": package.sha256})
    output: JsonObject = {"sha256": package.sha256, "bytes": len(package.data)}
    bound: JsonObject = {
        "base_sha256": base.sha256, "layout_checksum": fingerprint.layout_checksum(base.model),
        "tokenizer_checksum": fingerprint.tokenizer_checksum(base.model, base.data)}
    receipt: JsonObject = {
        "kind": RecordKind.ADAPTER_RECEIPT, "version": VERSION, "operator_version": 1, **operation, **bound,
        "output": output, "tool_version": tinypylm.__version__}
    stem = Path(file).stem
    manifest: JsonObject = {
        "kind": RecordKind.ADAPTER_MANIFEST, "version": VERSION, "name": stem, "label": naming.label or stem,
        "licence": naming.licence or str(base.model.metadata.get("licence") or "not stated"),
        "format": str(package.package.format), "file": file, "family": naming.family or f"{base.path.stem}-adapters",
        **output, **bound, "tensor_count": len(package.package.entries),
        "scale_bits": fingerprint.f32_bits(package.package.scale),
        "receipt": identifier(RecordKind.ADAPTER_RECEIPT, receipt)}
    save_record(folder.root / paths["receipt"], RecordKind.ADAPTER_RECEIPT, receipt)
    save_record(folder.root / paths["manifest"], RecordKind.ADAPTER_MANIFEST, manifest)
    return manifest


def _made(base: ModelFile, kind: str, origin: Origin) -> tuple[bytes, JsonObject]:
    """The bytes that `origin` gives, and the receipt's operator, parameters and sources."""
    if (origin.target is None) == (origin.peft is None):
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, "a package needs its origin: expected either --target MODEL or "
                        "--peft FOLDER.")
    if origin.target is not None:
        return _difference(base, kind, origin, open_model(origin.target))
    assert origin.peft is not None
    made: bytes = _part("peft_folder").import_peft(origin.peft, base).data
    digests = {name: hashlib.sha256(read_file(origin.peft / name)).hexdigest() for name in _PEFT_FILES}
    return made, _operation("peft", {
        "format": str(kind), "source_sha256": {name.replace(".", "_"): digest for name, digest in digests.items()},
    }, {"base": base.sha256, "factors": digests[_PEFT_FILES[1]]})


def _difference(base: ModelFile, kind: str, origin: Origin, target: ModelFile) -> tuple[bytes, JsonObject]:
    make = _part("make")
    stated = {"keep_ppm": origin.keep_ppm, "rank": origin.rank}
    given: dict[str, int] = {key: value for key, value in stated.items() if value is not None}
    made: bytes = make.make(base, target, make.Recipe(kind, roles=make.read_roles(origin.roles), **given)).data
    parameters: JsonObject = {"format": str(kind), **given, "roles": [*origin.roles]}
    return made, _operation("difference", parameters, {"base": base.sha256, "target": target.sha256})


def _operation(name: str, parameters: JsonObject, sources: Mapping[str, str]) -> JsonObject:
    return {"operator": name, "parameters": parameters,
            "sources": [{"role": role, "sha256": digest} for role, digest in sources.items()]}


def _part(name: str) -> ModuleType:
    """A module of the adapter tools."""
    return importlib.import_module(f"tinypylm_tools.adapters.{name}")
