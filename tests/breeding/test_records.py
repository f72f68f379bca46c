"""Compatibility, lineage, receipt, replay: what is bound, what is refused, and what a changed byte does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.breeding.families import CONFIGS, GIVEN, LLAMA, parents_of, related
from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.config import DType, ModelConfig
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.format import parse
from tinypylm.provenance import ProvenanceCode, RecordKind, dump, identifier, load
from tinypylm.provenance.operators import OPERATORS
from tinypylm.provenance.schema import fields
from tinypylm_tools.breeding import Bred, breed, replay
from tinypylm_tools.fixtures import payloads, three_merges
from tinypylm_tools.slm_writer import Payload, seal

BASE = related("llama", DType.Q8_0, 0)


def child_of(operator: str) -> tuple[Bred, list[bytes]]:
    base, parents = parents_of(operator, "llama", DType.Q8_0)
    return breed(operator, GIVEN.get(operator, {}), parents, base=base), [*parents, *([base] if base else [])]


def other(config: ModelConfig) -> bytes:
    return seal(config, payloads(config), None, {})


MIXED = payloads(replace(LLAMA, quantization=DType.Q8_0))
F32 = payloads(LLAMA)
DIFFERENT: dict[str, tuple[bytes, str | int, str | int]] = {
    "family": (other(replace(CONFIGS["neox"], quantization=DType.Q8_0, tied_embeddings=True)), "gpt_neox", "llama"),
    "output_head": (other(replace(LLAMA, quantization=DType.Q8_0, tied_embeddings=False)), "separate", "tied"),
    "quantization": (other(replace(LLAMA, quantization=DType.Q4_0)), "q4_0", "q8_0"),
    "n_layers": (other(replace(LLAMA, quantization=DType.Q8_0, n_layers=3)), 3, 2),
    "ffn_size": (other(replace(LLAMA, quantization=DType.Q8_0, ffn_size=96)), 96, 64),
    "rope_theta_bits": (other(replace(LLAMA, quantization=DType.Q8_0, rope_theta=500.0)), "43fa0000", "461c4000"),
    "interleaved_rotary": (other(replace(LLAMA, quantization=DType.Q8_0, interleaved_rotary=True)), True, False),
    "type of wo of layer 1": (
        seal(replace(LLAMA, quantization=DType.Q8_0),
             {**MIXED, **{key: value for key, value in F32.items() if key == (21, 1)}}, None, {}), "f32", "q8_0"),
}


@pytest.mark.parametrize("field", DIFFERENT)
def test_a_difference_is_refused_with_its_field_and_both_values(field: str) -> None:
    parent, found, expected = DIFFERENT[field]
    with pytest.raises(ToolError) as refused:
        breed("task-delta", {}, [parent], base=BASE)
    assert refused.value.code is ErrorCode.INCOMPATIBLE_PARENTS
    assert refused.value.detail == {"field": field, "found": found, "expected": expected}
    assert f"{field} is {found} in the parent" in refused.value.message
    assert f"{expected} in the base" in refused.value.message


def test_another_tokenizer_of_the_same_size_is_refused() -> None:
    config = replace(LLAMA, vocab_size=262)
    parts = {key: Payload(part.dtype, part.data) for key, part in payloads(config).items()}
    with pytest.raises(ToolError) as refused:
        breed("linear", {}, [seal(config, parts, None, {}), seal(config, parts, three_merges(), {})])
    assert refused.value.detail["field"] == "tokenizer_checksum"


def test_a_report_binds_all_models_by_digest_and_what_they_share() -> None:
    bred, models = child_of("task-delta")
    report = bred.compatibility
    assert load(dump(RecordKind.COMPATIBILITY, report), RecordKind.COMPATIBILITY) == report
    contract = fields(report["contract"])
    assert contract["parameter_count"] == sum(
        tensor.shape[0] * (*tensor.shape, 1)[1] for tensor in parse(BASE).tensors)
    assert contract["output_head"] == "tied"
    assert {fields(parent)["sha256"] for parent in report["parents"]} == {  # type: ignore[union-attr]
        sha256(data).hexdigest() for data in models}


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_record_cites_the_one_before_it(operator: str) -> None:
    bred, _ = child_of(operator)
    assert bred.lineage["compatibility"] == identifier(RecordKind.COMPATIBILITY, bred.compatibility)
    assert bred.receipt["lineage"] == identifier(RecordKind.LINEAGE, bred.lineage)
    cited = fields(parse(bred.child).metadata["lineage_sha256"])
    assert cited["template"] == bred.receipt["lineage"]
    assert fields(bred.receipt["output"])["sha256"] == sha256(bred.child).hexdigest()


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_receipt_is_enough_to_make_the_child_again(operator: str) -> None:
    bred, models = child_of(operator)
    receipt = load(dump(RecordKind.RECEIPT, bred.receipt), RecordKind.RECEIPT)
    assert replay(receipt, models) == bred.child
    assert replay(receipt, models[::-1]) == bred.child


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_receipt_knows_no_clock_path_host_or_user(operator: str) -> None:
    text = canonical.dumps(child_of(operator)[0].receipt).decode()
    assert text == canonical.dumps(child_of(operator)[0].receipt).decode()
    assert "/" not in text


def edited(receipt: JsonObject, *path: str | int, value: object) -> JsonObject:
    """A copy with one value replaced."""
    copy = canonical.loads(canonical.dumps(receipt))
    at: object = copy
    for step in path[:-1]:
        at = at[step]  # type: ignore[index]
    at[path[-1]] = value  # type: ignore[index]
    return fields(copy)


EDITS: dict[str, Callable[[JsonObject], JsonObject]] = {
    "lineage": lambda receipt: edited(receipt, "parameters", "seed", value="8"),
    "parents": lambda receipt: edited(receipt, "parents", 0, "tensor_checksum", value="0" * 64),
    "measures": lambda receipt: edited(receipt, "measures", "drop_ppm", value=1),
    "tensors": lambda receipt: edited(receipt, "tensors", 3, "changed", value=0),
    "output": lambda receipt: edited(receipt, "output", "sha256", value="0" * 64),
}


@pytest.mark.parametrize("part", EDITS)
def test_a_receipt_that_was_changed_is_caught_by_replaying_it(part: str) -> None:
    bred, models = child_of("dare")
    with pytest.raises(ProvenanceError) as refused:
        replay(EDITS[part](bred.receipt), models)
    assert refused.value.code is ProvenanceCode.REPLAY_REJECTED
    assert refused.value.detail == {"part": part}


def test_a_missing_parent_makes_the_child_unverifiable() -> None:
    bred, models = child_of("dare")
    with pytest.raises(ProvenanceError, match="unverifiable") as refused:
        replay(bred.receipt, models[1:])
    assert refused.value.code is ProvenanceCode.PARENT_MISSING


def test_a_receipt_with_a_parameter_of_another_operator_is_no_receipt() -> None:
    bred, models = child_of("dare")
    with pytest.raises(ProvenanceError) as refused:
        replay(edited(bred.receipt, "parameters", "unit", value="row"), models)
    assert refused.value.code is ProvenanceCode.RECORD_UNKNOWN_KEY


def test_an_imported_model_has_nothing_to_replay() -> None:
    receipt: JsonObject = {
        "kind": "receipt", "version": 1, "operator": "import", "operator_version": 1,
        "parameters": {"source": "trained", "source_sha256": {}}, "lineage": "0" * 64, "parents": [],
        "tokenizer_checksum": "0" * 64, "output": {"sha256": "0" * 64, "bytes": 1, "tensor_checksum": "0" * 64},
        "tool_version": "0.1.0"}
    with pytest.raises(ProvenanceError, match="nothing to replay"):
        replay(receipt, [])


def test_licences_are_joined_and_the_name_is_said() -> None:
    bred, _ = child_of("linear")
    metadata = parse(bred.child).metadata
    assert metadata["licence"] == "MIT"
    assert str(metadata["name"]).endswith("(linear)")
    assert metadata["description"] == "Bred by linear from 2 models."


@pytest.mark.parametrize(("stated", "expected"), [
    ({"name": "Two\nlines\u2028and a\ttab"}, "Two lines and a tab (split-point)"), ({}, "Unnamed (split-point)"),
    ({"name": "x" * 1000}, "x" * 150 + " (split-point)"),
])
def test_a_child_has_a_name_of_one_line_whatever_its_parents_are_called(stated: JsonObject, expected: str) -> None:
    parents = [seal(LLAMA, payloads(LLAMA), None, stated), related("llama", DType.F32, 1)]
    names = {fields(breed("split-point", {"keep_ppm": 500_000}, order).receipt["parameters"])["name"]
             for order in (parents, parents[::-1])}
    assert expected in names


@pytest.mark.parametrize(("operator", "given", "message"), [
    ("dare", {}, "dare needs --keep-ppm"),
    ("dare", {"keep_ppm": 0}, "--keep-ppm (keep_ppm) of dare is 0, expected an integer from 1 to 1000000"),
    ("dare", {"keep_ppm": 5, "unit": "row"}, "dare does not use --unit"),
    ("task-delta", {"keep_ppm": 5}, "task-delta does not use --keep-ppm (keep_ppm); leave it out. It takes --weight-p"),
    ("task-delta", {"keepppm": 5}, "there is no parameter 'keepppm'; did you mean keep_ppm?"),
    ("task-delta", {"weights_ppm": [1]}, "task-delta has 2 parents and was given the weights [1]"),
    ("task-delta", {"weights_ppm": [1, True]}, "--weight-ppm (weights_ppm) of task-delta is True"),
    ("sign-merge", {"weights_ppm": [1, -1]}, "expected an integer from 1 to 1000000000"),
    ("linear", {"weights_ppm": [0, 0]}, "weights that are all 0"),
    ("dare", {"keep_ppm": 5, "seed": str(2**64)}, "--seed is '18446744073709551616', expected an integer from 0 to"),
    ("dare", {"keep_ppm": 5, "seed": "-1"}, "--seed is '-1'"),
    ("crossover", {"unit": "column"}, "--unit is 'column', expected one of layer, row, block"),
    ("della", {"keep_ppm": 700_000, "floor_ppm": 0}, "expected 400000 to 700000"),
    ("breadcrumbs", {"keep_ppm": 700_000, "floor_ppm": 400_000}, "expected --floor-ppm of at most 300000"),
    ("dair", {}, "there is no operator 'dair'; did you mean dare?"),
])
def test_parameters_that_do_not_fit_are_refused_by_name(operator: str, given: JsonObject, message: str) -> None:
    parents = [related("llama", DType.F32, 1), related("llama", DType.F32, 2)]
    based = operator in OPERATORS and OPERATORS[operator].base
    with pytest.raises(ToolError) as refused:
        breed(operator, given, parents, base=related("llama", DType.F32, 0) if based else None)
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE
    assert message in refused.value.message


@pytest.mark.parametrize(("operator", "base", "parents", "message"), [
    ("dare", False, 1, "dare needs --base"), ("linear", True, 2, "linear does not use --base"),
    ("slerp", False, 3, "slerp was given 3 parents, expected 2"),
    ("linear", False, 1, "linear was given 1 parents, expected 2 to 64"),
])
def test_models_that_do_not_fit_are_refused(operator: str, base: bool, parents: int, message: str) -> None:
    data = related("llama", DType.F32, 0)
    with pytest.raises(ToolError) as refused:
        breed(operator, {}, [data] * parents, base=data if base else None)
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE
    assert message in refused.value.message
