"""Do models share what breeding takes for granted? A report that binds it, or the first field that differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Model
from tinypylm.provenance import RecordKind, check, fingerprint
from tinypylm_tools.breeding.parents import Parent

Field = tuple[str, JsonValue]


def compatibility_report(parents: Sequence[Parent]) -> JsonObject:
    """The record of what all `parents` have in common. Raises ToolError where there is a difference."""
    first = parents[0]
    for other in parents[1:]:
        _check_same(first, other)
    body: JsonObject = {
        "kind": "compatibility", "version": 1, "contract": fingerprint.contract(first.model, first.data),
        "parents": [parent.record() for parent in sorted(parents, key=lambda parent: (parent.sha256, parent.role))],
    }
    check(RecordKind.COMPATIBILITY, body)
    return body


def _check_same(first: Parent, other: Parent) -> None:
    for (field, expected), (_, found) in zip(_fields(first), _fields(other), strict=False):
        if found != expected:
            raise ToolError(
                ErrorCode.INCOMPATIBLE_PARENTS, f"{field} is {found} in the {other.role} {other.sha256[:12]} and "
                f"{expected} in the {first.role} {first.sha256[:12]}; models that are bred together have the same. "
                "Pack them alike, from checkpoints of one architecture and one tokenizer.",
                {"field": field, "found": _plain(found), "expected": _plain(expected)})


def _fields(parent: Parent) -> Iterator[Field]:
    """What must agree, from coarse to fine: tensors come behind the configuration that implies them."""
    contract = fingerprint.contract(parent.model, parent.data)
    dimensions = contract["dimensions"]
    assert isinstance(dimensions, dict)
    for key in ("format_version", "family", "output_head", "quantization"):
        yield key, contract[key]
    yield from dimensions.items()
    yield from _flags(parent.model)
    yield "parameter_count", contract["parameter_count"]
    yield from ((f"type of {tensor.name}", tensor.dtype.label) for tensor in parent.model.tensors)
    yield "tokenizer_checksum", contract["tokenizer_checksum"]
    yield "layout_checksum", contract["layout_checksum"]


def _flags(model: Model) -> Iterator[Field]:
    config = model.config
    yield "parallel_residual", config.parallel_residual
    yield "interleaved_rotary", config.interleaved_rotary
    yield "gelu_tanh", config.gelu_tanh


def _plain(value: JsonValue) -> str | int:
    assert isinstance(value, str | int)
    return value
