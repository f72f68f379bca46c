"""The records beside an adapter package: receipt, manifest, and the family of all packages for one base.

Its evaluation has the shape of a model's: `evaluation.ADAPTER_EVALUATION`.
"""

from __future__ import annotations

from tinypylm.provenance.admission import LABEL, head
from tinypylm.provenance.registry import ADAPTER_FILE, FORMAT
from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
    PPM,
    SHA256,
    SIZE,
    Rule,
    choice,
    integer,
    list_of,
    map_of,
    record,
    variants,
)

_SOURCES = list_of(record({"role": choice("base", "target", "factors", "adapter", "text"), "sha256": SHA256}), 1, 64)
_RANK = integer(1, 1024)

PARAMETERS: dict[str, Rule] = {
    "difference": record({"format": FORMAT, "roles": list_of(NAME, 0, 64)}, {"keep_ppm": PPM, "rank": _RANK}),
    "factors": record({"format": choice("ALR1"), "rank": _RANK}),
    "peft": record({"format": choice("ALR1"), "source_sha256": map_of(SHA256, 16)}),
    "combine": record({"format": FORMAT, "weights_bits": list_of(F32_BITS, 1, 64)}),
}
"""The closed parameters of each way to make a package, by the operator's name."""


def _receipt(name: str, parameters: Rule) -> Rule:
    return record({
        **head("adapter-receipt"),
        "operator": choice(name), "operator_version": integer(1, 1_000), "parameters": parameters,
        "sources": _SOURCES,
        "base_sha256": SHA256, "layout_checksum": SHA256, "tokenizer_checksum": SHA256,
        "output": record({"sha256": SHA256, "bytes": SIZE}),
        "tool_version": NAME,
    })


ADAPTER_RECEIPT = variants("operator", {name: _receipt(name, rule) for name, rule in PARAMETERS.items()})

ADAPTER_MANIFEST = record({
    **head("adapter-manifest"),
    "name": NAME, "label": LABEL, "licence": LINE,
    "format": FORMAT, "file": ADAPTER_FILE, "bytes": SIZE, "sha256": SHA256,
    "family": NAME, "base_sha256": SHA256, "layout_checksum": SHA256, "tokenizer_checksum": SHA256,
    "tensor_count": integer(1, 65_536), "scale_bits": F32_BITS,
    "receipt": SHA256,
})
"""`scale_bits` is the scale in the package's own header; the one of an admission multiplies it."""

ADAPTER_FAMILY = record({
    **head("adapter-family"),
    "name": NAME,
    "base": record({"name": NAME, "sha256": SHA256, "layout_checksum": SHA256, "tokenizer_checksum": SHA256}),
    "adapters": list_of(record({
        "name": NAME, "format": FORMAT, "bytes": SIZE, "sha256": SHA256, "manifest": SHA256,
    }), 1, 256),
})
"""All packages for one base file, ascending by name."""
