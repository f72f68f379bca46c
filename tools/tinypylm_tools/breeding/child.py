"""`breed` makes a child and the three records of how; `replay` makes the same child again from its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import NamedTuple

import tinypylm
from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.format import Model, parse
from tinypylm.provenance import ProvenanceCode, RecordKind, check, fingerprint, identifier
from tinypylm.provenance.operators import OPERATORS
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.breeding import crossover, receipts
from tinypylm_tools.breeding.blending import Blender
from tinypylm_tools.breeding.compatibility import compatibility_report
from tinypylm_tools.breeding.joining import Extent
from tinypylm_tools.breeding.lineage import child_metadata, default_name, lineage_template
from tinypylm_tools.breeding.parameters import Parameters, find_operator, read_parameters
from tinypylm_tools.breeding.parents import Parent, assign, check_count
from tinypylm_tools.breeding.stored import StoredTensor
from tinypylm_tools.breeding.thinning import Site
from tinypylm_tools.slm_writer import Draft

Progress = Callable[[int], None]


class Bred(NamedTuple):
    """A child's file, and the bodies of its records."""

    child: bytes
    receipt: JsonObject
    compatibility: JsonObject
    lineage: JsonObject


@dataclass(frozen=True, slots=True)
class Template:
    """Everything that is decided before a weight is computed."""

    operator: str
    chosen: Parameters
    models: list[Parent]
    compatibility: JsonObject
    lineage: JsonObject

    @property
    def base(self) -> Parent | None:
        return self.models[0] if self.models[0].role == "base" else None

    @property
    def parents(self) -> list[Parent]:
        return [model for model in self.models if model.role != "base"]

    @property
    def parameters(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.models[0].model.tensors)


def breed(
    operator: str, given: JsonObject, parents: Sequence[bytes], *, base: bytes | None = None, name: str | None = None,
    progress: Progress = lambda _: None,
) -> Bred:
    """A child of these models, and its records; `given` are parameters as in a receipt, weights as the parents stand.

    Raises ToolError for parameters that do not fit, models that do not go together, a child with a parent's weights.
    """
    return run(plan(operator, given, parents, base=base, name=name), progress)


def plan(
    operator: str, given: JsonObject, parents: Sequence[bytes], *, base: bytes | None = None, name: str | None = None
) -> Template:
    """Checks what was asked for, and writes the lineage template. Raises ToolError, FormatError."""
    table = find_operator(operator)
    check_count(operator, table, base is not None, len(parents))
    chosen = read_parameters(operator, given, len(parents))
    models, weights = assign(operator, table, base, parents, chosen.weights_ppm)
    compatibility = compatibility_report(models)
    chosen = Parameters(weights, chosen.keep_ppm, chosen.floor_ppm, chosen.seed, chosen.unit)
    lineage = lineage_template(name or default_name(operator, models), operator, chosen, models, compatibility)
    return Template(operator, chosen, models, compatibility, lineage)


def run(template: Template, progress: Progress = lambda _: None) -> Bred:
    """Computes the child; `progress` is told the elements of each tensor that is done."""
    results = _Run(template)
    child = results.child(progress)
    model = parse(child)
    _refuse_clone(template, model, child)
    receipt: JsonObject = {
        "kind": "receipt", "version": 1, "operator": template.operator,
        "operator_version": OPERATORS[template.operator].version, "parameters": template.lineage["parameters"],
        "lineage": identifier(RecordKind.LINEAGE, template.lineage),
        "parents": [parent.record() for parent in template.models],
        "tokenizer_checksum": fingerprint.tokenizer_checksum(model, child),
        "output": {"sha256": sha256(child).hexdigest(), "bytes": len(child),
                   "tensor_checksum": fingerprint.tensor_checksum(model, child)},
        "tool_version": tinypylm.__version__,
        "measures": results.receipt.measures(), "tensors": results.receipt.tensors,
    }
    check(RecordKind.RECEIPT, receipt)
    return Bred(child, receipt, template.compatibility, template.lineage)


def replay(receipt: JsonObject, parents: Iterable[bytes]) -> bytes:
    """The child that `receipt` describes, computed again from `parents`, given in any order.

    Raises ProvenanceError where a parent is missing or the child comes out different.
    """
    check(RecordKind.RECEIPT, receipt)
    operator = str(receipt["operator"])
    if operator not in OPERATORS:
        raise ProvenanceError(
            ProvenanceCode.REPLAY_REJECTED, "the model was imported, not bred: there is nothing to replay",
            {"operator": operator})
    parameters = dict(fields(receipt["parameters"]))
    name = str(parameters.pop("name"))
    base, others = _found(receipt, {sha256(data).hexdigest(): data for data in parents})
    bred = breed(operator, parameters, others, base=base, name=name)
    for part in ("lineage", "parents", "measures", "tensors", "output"):
        if bred.receipt[part] != receipt[part]:
            raise ProvenanceError(
                ProvenanceCode.REPLAY_REJECTED, f"replaying {operator} gives other {part} than the receipt states; "
                "the receipt was changed, or was written by another version of the operator", {"part": part})
    return bred.child


def _found(receipt: JsonObject, known: dict[str, bytes]) -> tuple[bytes | None, list[bytes]]:
    """The base and the others that a receipt names, in its order."""
    base, others = None, []
    for item in items(receipt["parents"]):
        digest, role = str(fields(item)["sha256"]), fields(item)["role"]
        if digest not in known:
            raise ProvenanceError(
                ProvenanceCode.PARENT_MISSING, f"the {role} {digest} is not among the {len(known)} models given; "
                "without it the child is unverifiable", {"role": str(role), "sha256": digest})
        if role == "base":
            base = known[digest]
        else:
            others.append(known[digest])
    return base, others


class _Run:
    """The tensors of one child, in file order."""

    def __init__(self, template: Template):
        self._template = template
        self._blender = None
        if template.operator != "crossover":
            self._blender = Blender(template.operator, template.chosen, len(template.parents))
        self.receipt = receipts.Evidence(template.operator, template.chosen, template.lineage, template.parents)

    def child(self, progress: Progress) -> bytes:
        first = self._template.models[0]
        header, tensors = first.model.header, first.model.tensors
        draft = Draft(
            first.model.config, {(tensor.role, tensor.layer): tensor.dtype for tensor in tensors},
            bytes(first.data[header.tokenizer_offset : header.tokenizer_end]),
            canonical.dumps(child_metadata(self._template.lineage, self._template.models)))
        before = 0
        for index, tensor in enumerate(tensors):
            child = StoredTensor(tensor.name, tensor.dtype, tensor.shape, draft.payload(index))
            self._fill(index, child, before)
            before += child.elements
            progress(child.elements)
        if self._blender:
            self.receipt.close(self._blender.digests)
        return bytes(draft.seal())

    def _fill(self, index: int, child: StoredTensor, before: int) -> None:
        template = self._template
        stored = [parent.tensor(index) for parent in template.parents]
        tensor, tensors = template.models[0].model.tensors[index], template.models[0].model.tensors
        if self._blender is None:
            plan = crossover.plan(tensor, tensors, template.parents[0].sha256, template.chosen)
            first, second = stored
            self.receipt.crossed(child, crossover.cross(plan, first, second, child))
            return
        sites = [Site(tensor.role, tensor.layer, parent.sha256) for parent in template.parents]
        base = None if template.base is None else template.base.tensor(index)
        row = tensor.shape[1] if len(tensor.shape) == 2 else 1
        extent = Extent(before, template.parameters, row)
        self.receipt.blended(child, *self._blender.tensor(base, stored, sites, extent, child))


def _refuse_clone(template: Template, model: Model, child: bytes) -> None:
    checksum = fingerprint.tensor_checksum(model, child)
    for parent in template.models:
        if parent.tensor_checksum == checksum:
            raise ToolError(
                ErrorCode.CLONED_CHILD, f"{template.operator} gives exactly the weights of the {parent.role} "
                f"{parent.sha256[:12]}; a clone is no child. Choose other parents, weights or rates.",
                {"role": parent.role, "sha256": parent.sha256})
