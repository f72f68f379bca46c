"""What each record says of those before it. Every rule is evaluated again; no verdict is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.format import Model, parse
from tinypylm.provenance import derivation
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.derivation import Naming, difference
from tinypylm.provenance.records import RecordKind, identifier
from tinypylm.provenance.schema import fields, items
from tinypylm.provenance.scores import check_evaluation
from tinypylm.source import HashedFile

Records = Mapping[str, JsonObject]
"""The bodies of one model's evidence, by component."""

BREEDING = (RecordKind.COMPATIBILITY, RecordKind.LINEAGE, RecordKind.RECEIPT)


def check_manifest(records: Records, file: HashedFile) -> Model:
    """The manifest describes this file, which is the model that is returned. Raises FormatError, ProvenanceError."""
    given, model = records["manifest"], parse(file.data)
    naming = Naming(*(str(given[key]) for key in ("name", "label", "licence", "file")))
    derived = derivation.manifest(naming, model, file)
    _same(ProvenanceCode.MANIFEST_REJECTED, given, derived, "the model's bytes")
    return model


def check_compatibility(records: Records) -> None:
    """The report binds the contract that the model itself keeps."""
    found, expected = records["compatibility"]["contract"], records["manifest"]["contract"]
    _same(ProvenanceCode.COMPATIBILITY_REJECTED, found, expected, "the manifest")


def check_lineage(records: Records) -> None:
    """The template cites that report, for the same parents."""
    template = records["lineage"]
    _cites(ProvenanceCode.LINEAGE_REJECTED, template, "compatibility", RecordKind.COMPATIBILITY, records)
    _same(ProvenanceCode.LINEAGE_REJECTED, _named_parents(template), _named_parents(records["compatibility"]),
          "the compatibility report")


def check_receipt(records: Records) -> None:
    """The receipt cites that template, did what it says, and its output is the model."""
    receipt, manifest = records["receipt"], records["manifest"]
    code = ProvenanceCode.RECEIPT_REJECTED
    _cites(code, receipt, "lineage", RecordKind.LINEAGE, records)
    for key in ("operator", "operator_version", "parameters"):
        _same(code, {key: receipt[key]}, {key: records["lineage"][key]}, "the lineage template")
    _same(code, [*_parents(receipt)], [*_parents(records["compatibility"])], "the compatibility report")
    output: JsonObject = {key: manifest[key] for key in ("sha256", "bytes", "tensor_checksum")}
    _same(code, receipt["output"], output, "the manifest")
    _same(code, receipt["tokenizer_checksum"], fields(manifest["contract"])["tokenizer_checksum"], "the manifest")
    if clones := [p["sha256"] for p in _parents(receipt) if p["tensor_checksum"] == manifest["tensor_checksum"]]:
        raise ProvenanceError(code, f"the model has the weights of its parent {clones[0]}: it is a clone", {})


def check_candidate(records: Records) -> None:
    """The candidate cites manifest, report, template and receipt."""
    given = records["candidate"]
    bodies = {kind: records[kind] for kind in BREEDING}
    sets = [str(digest) for digest in items(given["selection_sets"])]
    tried = given["candidates_tried"]
    assert isinstance(tried, int)
    derived = derivation.candidate(records["manifest"], bodies, tried, sets)
    _same(ProvenanceCode.CANDIDATE_REJECTED, given, derived, "the records that it cites")


def check_sidecar(records: Records, stack: Sequence[JsonObject]) -> None:
    """The evaluation is of this candidate with this stack, on sets that nobody chose it by, and adds up.

    stack: {sha256, scale_bits} of each adapter. A model with parents is compared with all of them, one with only a
    stack with itself.
    """
    given, candidate = records["evaluation"], records["candidate"]
    code = ProvenanceCode.EVALUATION_REJECTED
    _cites(code, given, "candidate", RecordKind.CANDIDATE, records)
    _same(code, _subject(given), _subject(candidate), "the candidate")
    _same(code, given["adapters"], [*stack], "the stack")
    parents = sorted({str(parent["sha256"]) for parent in _parents(records["receipt"])})
    _check_comparison(given, parents or ([str(given["sha256"])] if stack else []))
    _check_apart(given, candidate)
    check_evaluation(given)


def check_promotion(records: Records) -> None:
    """The promotion is what the evaluation supports."""
    derived = derivation.promotion(records["candidate"], records["evaluation"])
    _same(ProvenanceCode.PROMOTION_REJECTED, records["promotion"], derived, "the evaluation")


def check_admission(records: Records) -> None:
    """The admission is what the promotion supports; its stack is looked at with the adapters themselves."""
    given = records["admission"]
    derived = derivation.admission(records["promotion"], records["manifest"], [], None)
    derived |= {key: given[key] for key in ("adapters", "family") if key in given}
    _same(ProvenanceCode.ADMISSION_REJECTED, given, derived, "the promotion")
    if bool(given["adapters"]) != ("family" in given):
        raise ProvenanceError(ProvenanceCode.ADMISSION_REJECTED, "a stack and its family come together or not at all")


def check_entry(records: Records, entry: JsonObject) -> None:
    """The registry's line says what manifest and admission say; the plan and the stack are looked at elsewhere."""
    pin = fields(entry["plan"])
    plan = derivation.Pin(str(pin["path"]), int(str(pin["bytes"])), str(pin["sha256"]))
    derived = derivation.entry(records["manifest"], records["admission"], plan, [])
    derived |= {"adapters": entry["adapters"]}
    _same(ProvenanceCode.REGISTRY_REJECTED, entry, derived, "manifest and admission")


def check_family(records: Records) -> None:
    """The family is of this base, and has every adapter of the stack."""
    admission = records["admission"]
    code = ProvenanceCode.FAMILY_REJECTED
    if not admission["adapters"]:
        return
    family, manifest = records["family"], records["manifest"]
    _same(code, admission["family"], identifier(RecordKind.ADAPTER_FAMILY, family), "the family's identifier")
    contract, base = fields(manifest["contract"]), fields(family["base"])
    _same(code, base["sha256"], manifest["sha256"], "the model")
    for key in ("layout_checksum", "tokenizer_checksum"):
        _same(code, {key: base[key]}, {key: contract[key]}, "the model's contract")
    known = {str(fields(member)["manifest"]) for member in items(family["adapters"])}
    for adapter in map(fields, items(admission["adapters"])):
        if adapter["manifest"] not in known:
            raise ProvenanceError(code, f"the adapter {adapter['name']!r} does not belong to the family "
                                  f"{family['name']!r}", {"adapter": str(adapter["name"])})


def check_adapter(records: Records, index: int, entry: JsonObject) -> None:
    """Adapter `index` of the stack: its records cite each other and fit the base, its evaluation holds."""
    manifest, receipt, evaluation = (
        records[f"adapter-{index}-{part}"] for part in ("manifest", "receipt", "evaluation"))
    code, model = ProvenanceCode.ADAPTER_REJECTED, records["manifest"]
    admitted = fields(items(records["admission"]["adapters"])[index])
    stacked = derivation.Stacked(manifest, receipt, evaluation, str(admitted["scale_bits"]))
    _same(code, stacked.record(), admitted, "the admission")
    declared = derivation.entry(model, records["admission"], derivation.Pin("", 0, ""), [stacked])["adapters"]
    _same(code, items(entry["adapters"])[index], items(declared)[0], "the adapter's manifest")
    check_adapter_records(manifest, receipt, evaluation)
    for record in (manifest, receipt):
        _check_base(record, model)


def check_adapter_records(manifest: JsonObject, receipt: JsonObject, evaluation: JsonObject) -> None:
    """What the three records of an adapter say of each other. Raises ProvenanceError (AdapterRejected)."""
    code = ProvenanceCode.ADAPTER_REJECTED
    _same(code, manifest["receipt"], identifier(RecordKind.ADAPTER_RECEIPT, receipt), "the receipt's identifier")
    _same(code, receipt["output"], _subject(manifest), "the manifest")
    _same(code, evaluation["manifest"], identifier(RecordKind.ADAPTER_MANIFEST, manifest), "the manifest's identifier")
    _same(code, evaluation["sha256"], manifest["base_sha256"], "the base")
    alone: JsonValue = [{"sha256": manifest["sha256"], "scale_bits": derivation.ONE}]
    _same(code, evaluation["adapters"], alone, "the package")
    _check_comparison(evaluation, [str(manifest["base_sha256"])])
    check_evaluation(evaluation)
    if not fields(evaluation["claims"])["runtime_smoke"]:
        raise ProvenanceError(code, f"the evaluation of {manifest['name']!r} does not show that it runs", {})


def _check_base(record: JsonObject, model: JsonObject) -> None:
    contract = fields(model["contract"])
    base: JsonObject = {
        "base_sha256": model["sha256"], "layout_checksum": contract["layout_checksum"],
        "tokenizer_checksum": contract["tokenizer_checksum"]}
    _same(ProvenanceCode.ADAPTER_REJECTED, {key: record[key] for key in base}, base, "the model")


def _check_comparison(evaluation: JsonObject, parents: list[str]) -> None:
    compared = fields(evaluation["comparison"])["parents"] if "comparison" in evaluation else []
    digests: list[JsonValue] = [fields(parent)["sha256"] for parent in items(compared)]
    _same(ProvenanceCode.EVALUATION_REJECTED, {"comparison": digests}, {"comparison": [*parents]}, "the parents")


def _check_apart(evaluation: JsonObject, candidate: JsonObject) -> None:
    """The reported sets are not those by which the candidate was chosen."""
    reported = [fields(one) for key in ("suites", "texts") for one in items(evaluation[key])]
    for one in reported:
        if one["sha256"] in items(candidate["selection_sets"]):
            raise ProvenanceError(
                ProvenanceCode.EVALUATION_REJECTED, f"the set {one['name']!r} chose this candidate among others, so it "
                "cannot speak for it; evaluate on another one", {"set": str(one["name"])})


def _parents(record: JsonObject) -> list[JsonObject]:
    """The parents of a record, each of which may list them in an order of its own."""
    found = map(fields, items(record["parents"]))
    return sorted(found, key=lambda parent: (str(parent["role"]), str(parent["sha256"])))


def _named_parents(record: JsonObject) -> JsonValue:
    return [{"role": parent["role"], "sha256": parent["sha256"]} for parent in _parents(record)]


def _subject(record: JsonObject) -> JsonObject:
    return {"sha256": record["sha256"], "bytes": record["bytes"]}


def _cites(code: ProvenanceCode, record: JsonObject, key: str, kind: RecordKind, records: Records) -> None:
    _same(code, {key: record[key]}, {key: identifier(kind, records[kind])}, f"the {kind}'s identifier")


def _same(code: ProvenanceCode, found: JsonValue, expected: JsonValue, source: str) -> None:
    place = difference(found, expected)
    if place is not None:
        shown, wanted = _at(found, place), _at(expected, place)
        raise ProvenanceError(code, f"{place} is {shown!r:.100}, expected {wanted!r:.100} from {source}",
                              {"path": place, "found": f"{shown!r:.100}", "expected": f"{wanted!r:.100}"})


def _at(value: JsonValue, place: str) -> JsonValue:
    for part in place.split("."):
        if not isinstance(value, dict):
            return value
        value = value.get(part, "nothing")
    return value


Check = Callable[[Records], None]

CHECKS: Mapping[str, Check] = {
    "compatibility": check_compatibility, "lineage": check_lineage, "receipt": check_receipt,
    "candidate": check_candidate, "promotion": check_promotion, "admission": check_admission,
}
"""The checks that need nothing but the records before."""
