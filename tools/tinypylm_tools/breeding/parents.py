"""Models that something is bred from: their bytes, what they are, and the part that they play."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Model, parse
from tinypylm.provenance import fingerprint
from tinypylm.provenance.operators import Operator
from tinypylm_tools.breeding.stored import StoredTensor


@dataclass(frozen=True)
class Parent:
    """One model in its role: `base`, `parent`, `reference`, `head` or `tail`."""

    role: str
    data: bytes | memoryview
    model: Model
    sha256: str

    @cached_property
    def tensor_checksum(self) -> str:
        return fingerprint.tensor_checksum(self.model, self.data)

    def tensor(self, index: int) -> StoredTensor:
        """Tensor `index` in file order."""
        tensor = self.model.tensors[index]
        payload = memoryview(self.data)[tensor.offset : tensor.offset + tensor.payload_bytes]
        return StoredTensor(tensor.name, tensor.dtype, tensor.shape, payload)

    def record(self) -> JsonObject:
        return {"role": self.role, "sha256": self.sha256, "bytes": len(self.data),
                "tensor_checksum": self.tensor_checksum}


def open_parent(role: str, data: bytes | memoryview) -> Parent:
    """Raises FormatError."""
    return Parent(role, data, parse(data), hashlib.sha256(data).hexdigest())


def assign(
    name: str, operator: Operator, base: bytes | None, parents: Sequence[bytes], weights: tuple[int, ...]
) -> tuple[list[Parent], tuple[int, ...]]:
    """The models in their order, base first, and the weights in the same order.

    Parents are sorted by SHA-256, since sums run in that order; where an operator tells its parents apart they stay as
    given. Raises ToolError, FormatError.
    """
    check_count(name, operator, base is not None, len(parents))
    opened = [open_parent(operator.role(index), data) for index, data in enumerate(parents)]
    order = list(range(len(opened)))
    if operator.symmetric:
        order.sort(key=lambda index: (opened[index].sha256, weights[index] if weights else 0))
    first = [] if base is None else [open_parent("base", base)]
    return first + [opened[index] for index in order], tuple(weights[index] for index in order if weights)


def check_count(name: str, operator: Operator, has_base: bool, parents: int) -> None:
    """Raises ToolError where the operator does not take a base, needs one, or needs another number of parents."""
    if has_base != operator.base:
        advice = "needs --base, the model that the parents were made from" if operator.base else (
            "does not use --base; give every model as --parent")
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{name} {advice}.", {"option": "base"})
    if not operator.fewest <= parents <= operator.most:
        expected = str(operator.fewest) if operator.fewest == operator.most else f"{operator.fewest} to {operator.most}"
        raise ToolError(
            ErrorCode.UNUSABLE_CHOICE, f"{name} was given {parents} parents, expected {expected}.",
            {"option": "parent", "found": parents})
