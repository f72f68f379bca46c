"""The three records of how a model came to be: compatibility report, lineage template, operator receipt.

A model that was imported or trained, not bred, has the operator `import` and no parents.
"""

from __future__ import annotations

from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
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

_U32 = integer(0, 2**32 - 1)

CONTRACT = record({
    "format_version": integer(1, 255),
    "family": choice("llama", "gpt_neox"),
    "quantization": choice("f32", "q8_0", "q4_0"),
    "output_head": choice("tied", "separate"),
    "parameter_count": SIZE,
    "dimensions": record({
        "vocab_size": _U32, "hidden_size": _U32, "n_layers": _U32, "n_heads": _U32, "n_kv_heads": _U32,
        "head_dim": _U32, "ffn_size": _U32, "context_length": _U32, "rotary_dim": _U32,
        "rope_theta_bits": F32_BITS, "norm_epsilon_bits": F32_BITS,
    }),
    "layout_checksum": SHA256,
    "tokenizer_checksum": SHA256,
})
"""What parents and child must have in common; `fingerprint.contract` makes it from a file."""

ROLE = choice("base", "parent", "reference")
_PARENT = record({"role": ROLE, "sha256": SHA256, "bytes": SIZE, "tensor_checksum": SHA256})

COMPATIBILITY = record({
    "kind": choice("compatibility"), "version": integer(1, 1),
    "contract": CONTRACT,
    "parents": list_of(_PARENT, 0, 64),
})
"""Parents ascending by SHA-256; each of them has this contract."""

IMPORT_PARAMETERS = record({"source": LINE, "source_sha256": map_of(SHA256, 64)})

PARAMETERS: dict[str, Rule] = {"import": IMPORT_PARAMETERS}
"""The closed parameters of each operator, by its name."""


def _by_operator(kind: str, keys: dict[str, Rule]) -> Rule:
    head = {"kind": choice(kind), "version": integer(1, 1), "operator_version": integer(1, 1_000)}
    return variants("operator", {
        name: record({**head, "operator": choice(name), "parameters": parameters, **keys})
        for name, parameters in PARAMETERS.items()})


_LINEAGE_PARENT = record({"role": ROLE, "sha256": SHA256})

LINEAGE = _by_operator("lineage", {
    "compatibility": SHA256,
    "parents": list_of(_LINEAGE_PARENT, 0, 64),
})

RECEIPT = _by_operator("receipt", {
    "lineage": SHA256,
    "parents": list_of(_PARENT, 0, 64),
    "tokenizer_checksum": SHA256,
    "output": record({"sha256": SHA256, "bytes": SIZE, "tensor_checksum": SHA256}),
    "tool_version": NAME,
})
