"""The evaluation of an adapter package on its base, and the family of all packages for one base."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import parse
from tinypylm.provenance import chain, fingerprint, records
from tinypylm.provenance.derivation import ONE, Stacked
from tinypylm.provenance.records import VERSION, RecordKind, identifier
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evidence.folder import Folder, adapter_paths, family_path, load_record, save_record
from tinypylm_tools.evidence.steps import attached
from tinypylm_tools.file_bytes import read_file

SUFFIXES = (".adp1", ".asp1", ".alr1")


def evaluate_adapter(
    folder: Folder, file: str, work: sidecar.Items, run: sidecar.Run = sidecar.run
) -> JsonObject:
    """Runs the items on the base with and without the package `file`, and writes its evaluation and its family."""
    paths = adapter_paths(file)
    manifest = load_record(folder.root / paths["manifest"], RecordKind.ADAPTER_MANIFEST)
    receipt = load_record(folder.root / paths["receipt"], RecordKind.ADAPTER_RECEIPT)
    _check_package(folder, paths["package"], manifest)
    base = find_base(folder, str(manifest["base_sha256"])).read_bytes()
    adapter = Stacked(manifest, receipt, {}, ONE)
    plain = run(base, work)
    outcome = sidecar.run(base, work, attached(folder, [adapter]))
    cited = {"manifest": identifier(RecordKind.ADAPTER_MANIFEST, manifest)}
    body = sidecar.sidecar(RecordKind.ADAPTER_EVALUATION, cited, [adapter.attached()], work, outcome, [plain])
    records.check(RecordKind.ADAPTER_EVALUATION, body)
    chain.check_adapter_records(manifest, receipt, body)
    save_record(folder.root / paths["evaluation"], RecordKind.ADAPTER_EVALUATION, body)
    write_family(folder, str(manifest["family"]))
    return body


def _check_package(folder: Folder, path: str, manifest: JsonObject) -> None:
    pin = folder.pin(path)
    if pin.sha256 != manifest["sha256"]:
        raise ToolError(ErrorCode.DIGEST_MISMATCH, f"{folder.root / path} has the SHA-256 {pin.sha256}, its manifest "
                        f"states {manifest['sha256']}.", {"found": pin.sha256, "expected": str(manifest["sha256"])})


def find_base(folder: Folder, sha256: str) -> Path:
    """The model of the folder with this digest. Raises ToolError."""
    for path in folder.models():
        if hashlib.sha256(read_file(path)).hexdigest() == sha256:
            return path
    raise ToolError(ErrorCode.MISSING_FILE, f"no .slm file in {folder.root} has the SHA-256 {sha256}, which the "
                    "adapter was made for.", {"sha256": sha256})


def write_family(folder: Folder, name: str) -> Path:
    """Writes the family `name` of all adapters whose manifests name it. Raises ToolError where their bases differ."""
    members = sorted((one for one in folder.adapter_manifests() if one["family"] == name),
                     key=lambda one: str(one["name"]))
    bases = {str(member["base_sha256"]) for member in members}
    if len(bases) != 1:
        raise ToolError(ErrorCode.UNUSABLE_NAME, f"the adapters of the family {name!r} are for {len(bases)} bases, "
                        "expected one: give each base a family of its own.", {"family": name})
    base = find_base(folder, bases.pop())
    data = base.read_bytes()
    model = parse(data)
    body: JsonObject = {
        "kind": RecordKind.ADAPTER_FAMILY, "version": VERSION, "name": name,
        "base": {
            "name": base.stem, "sha256": hashlib.sha256(data).hexdigest(),
            "layout_checksum": fingerprint.layout_checksum(model),
            "tokenizer_checksum": fingerprint.tokenizer_checksum(model, data)},
        "adapters": [
            {key: member[key] for key in ("name", "format", "bytes", "sha256")}
            | {"manifest": identifier(RecordKind.ADAPTER_MANIFEST, member)} for member in members],
    }
    path = folder.root / family_path(name)
    save_record(path, RecordKind.ADAPTER_FAMILY, body)
    return path
