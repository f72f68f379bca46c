"""The three records of how a model came to be: compatibility report, lineage template, operator receipt.

A model that was imported or trained, not bred, has the operator `import` and no parents.
"""

from __future__ import annotations

from tinypylm.provenance.operators import MOST_PARENTS, OPERATORS, Operator, Range, Unit
from tinypylm.provenance.schema import (
    F32_BITS,
    LINE,
    NAME,
    PPM,
    SHA256,
    SIZE,
    U64,
    Rule,
    choice,
    integer,
    list_of,
    map_of,
    record,
    variants,
)

_U32 = integer(0, 2**32 - 1)
_COUNT = integer()
_MOST_TENSORS = 8192
_MOST_MODELS = MOST_PARENTS + 1

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

ROLE = choice("base", "parent", "reference", "head", "tail")
_PARENT = record({"role": ROLE, "sha256": SHA256, "bytes": SIZE, "tensor_checksum": SHA256})

COMPATIBILITY = record({
    "kind": choice("compatibility"), "version": integer(1, 1),
    "contract": CONTRACT,
    "parents": list_of(_PARENT, 0, _MOST_MODELS),
})
"""Parents ascending by SHA-256; each of them has this contract."""

IMPORT_PARAMETERS = record({"source": LINE, "source_sha256": map_of(SHA256, 64)})


def _parameters(operator: Operator) -> Rule:
    """`name` is the child's; the rest is what the operator uses, and nothing else."""
    keys: dict[str, Rule] = {"name": LINE}
    if operator.weight:
        keys["weights_ppm"] = list_of(_within(operator.weight), operator.fewest, operator.most)
    if operator.keep:
        keys["keep_ppm"] = _within(operator.keep)
    if operator.floor:
        keys["floor_ppm"] = _within(operator.floor)
    if operator.seeded:
        keys["seed"] = U64
    if operator.units:
        keys["unit"] = choice(*Unit)
    return record(keys)


def _within(allowed: Range) -> Rule:
    return integer(allowed.least, allowed.most)


PARAMETERS: dict[str, Rule] = {
    "import": IMPORT_PARAMETERS, **{name: _parameters(operator) for name, operator in OPERATORS.items()}}
"""The closed parameters of each operator, by its name. Weights are in the order of the record's parents."""

_VOTES = record({"positive": _COUNT, "negative": _COUNT, "ties": _COUNT, "silent": _COUNT})
_SHARE = {"nonzero": _COUNT, "kept": _COUNT}
_DENSITY = {**_SHARE, "density_ppm": PPM}
_COSINE = record({"first": SHA256, "second": SHA256, "cosine_ppm": integer(-1_000_000, 1_000_000)})

_TENSOR = {
    "tensor": LINE, "elements": SIZE, "changed": _COUNT, "largest_error_bits": F32_BITS, "rms_error_bits": F32_BITS,
    "parents": list_of(record(_SHARE), 1, MOST_PARENTS)}
"""`changed` codes (f32: values) against the first of the record's parents; errors of what is stored against f64."""

_TENSOR_EXTRAS: dict[str, dict[str, Rule]] = {
    "magnitude-prune": {"max_magnitude_bits": F32_BITS, "floor_threshold_bits": F32_BITS},
    "sign-merge": {"votes": _VOTES}, "della": {"votes": _VOTES},
}
_CROSSED = {"tensor": LINE, "elements": SIZE, "taken": list_of(_COUNT, 2, 2)}

_MEASURES: dict[str, Rule] = {"changed": _COUNT, "parents": list_of(record(_DENSITY), 1, MOST_PARENTS)}
_MEASURE_EXTRAS: dict[str, dict[str, Rule]] = {
    "sparse-task-delta": {"selection_metric": choice("magnitude")},
    "magnitude-prune": {"pruned": _COUNT},
    "dare": {"drop_ppm": PPM, "raw_delta_checksums": list_of(SHA256, 1, MOST_PARENTS),
             "rescaled_delta_checksums": list_of(SHA256, 1, MOST_PARENTS)},
    "federated": {"parameter_count": SIZE, "changed_density_ppm": PPM, "weighted_delta_checksum": SHA256},
    "sign-merge": {"recipe_checksum": SHA256, "votes": _VOTES, "relatedness": list_of(_COSINE)},
    "della": {"votes": _VOTES},
}
_CROSSED_MEASURES = record({"parents": list_of(record({"elements": _COUNT, "keep_ppm": PPM}), 2, 2)})


def _by_operator(kind: str, keys: dict[str, Rule], parent: Rule, *, results: bool) -> Rule:
    """Each operator has its own number of parents, parameters and, in a receipt, measures."""
    head = {"kind": choice(kind), "version": integer(1, 1), **keys}
    rules = {}
    for name, parameters in PARAMETERS.items():
        rules[name] = record({
            **head, "operator": choice(name), "operator_version": integer(1, 1_000), "parameters": parameters,
            "parents": list_of(parent, *_models(name)), **(_results(name) if results else {})})
    return variants("operator", rules)


def _models(name: str) -> tuple[int, int]:
    """The least and the largest number of models that the operator takes, its base counted in."""
    if name not in OPERATORS:
        return 0, 0
    operator = OPERATORS[name]
    return operator.fewest + operator.base, operator.most + operator.base


def _results(name: str) -> dict[str, Rule]:
    if name not in OPERATORS:
        return {}
    if name == "crossover":
        return {"measures": _CROSSED_MEASURES, "tensors": list_of(record(_CROSSED), 1, _MOST_TENSORS)}
    return {
        "measures": record({**_MEASURES, **_MEASURE_EXTRAS.get(name, {})}),
        "tensors": list_of(record({**_TENSOR, **_TENSOR_EXTRAS.get(name, {})}), 1, _MOST_TENSORS)}


LINEAGE = _by_operator(
    "lineage", {"compatibility": SHA256}, record({"role": ROLE, "sha256": SHA256}), results=False)

RECEIPT = _by_operator("receipt", {
    "lineage": SHA256,
    "tokenizer_checksum": SHA256,
    "output": record({"sha256": SHA256, "bytes": SIZE, "tensor_checksum": SHA256}),
    "tool_version": NAME,
}, _PARENT, results=True)
