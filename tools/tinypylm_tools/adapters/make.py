"""`tinypylm adapter make`: the difference of two models as a package for the first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from tinypylm.adapters.entries import PackageFormat
from tinypylm.adapters.package import KEEP_ALL_PPM, parse_package
from tinypylm.config import DType, Role
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Tensor
from tinypylm_tools.adapters.changes import change, changed_payload, update
from tinypylm_tools.adapters.writer import Change, Dense, LowRank, Sparse, facts, seal
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import F32, decode


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is asked for: `keep_ppm` counts for ASP1, `rank` for ALR1; no roles are all roles."""

    format: PackageFormat
    keep_ppm: int = KEEP_ALL_PPM
    rank: int = 8
    roles: Collection[Role] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A package; how many tensors differ, which of them it leaves out, how many it makes exactly the child's."""

    data: bytes
    differing: int
    left_out: tuple[str, ...]
    exact: int


def make(base: ModelFile, child: ModelFile, recipe: Recipe) -> Made:
    """The package that leads from `base` to `child`. Raises ToolError, BudgetError.

    The models differ in weights alone; the child may be of another quantization.
    """
    check_pair(base, child)
    found = list(_differences(base, child))
    chosen = [(tensor, delta) for tensor, delta in found if _is_chosen(tensor, recipe)]
    if not chosen:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, "No tensor that was chosen differs between the two models; expected "
                        f"one that differs: {', '.join(tensor.name for tensor, _ in found[:8]) or 'there is none'}.")
    changes = [_CHANGES[recipe.format](tensor, delta, recipe) for tensor, delta in chosen]
    keep = recipe.keep_ppm if recipe.format == PackageFormat.ASP1 else 0
    data = seal(facts(base), changes, 1.0, keep)
    left_out = tuple(tensor.name for tensor, _ in found if not _is_chosen(tensor, recipe))
    return Made(data, len(found), left_out, _exact_tensors(base, child, data))


def check_pair(base: ModelFile, child: ModelFile) -> None:
    """Raises ToolError where the models differ in more than weights and their types."""
    one, other = base.model, child.model
    if replace(one.config, quantization=DType.F32) != replace(other.config, quantization=DType.F32):
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{child.path} has another configuration than {base.path}; expected "
                        "models that differ in their weights alone. `tinypylm inspect` shows both.")
    if facts(base).tokenizer_checksum != facts(child).tokenizer_checksum:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{child.path} has another tokenizer than {base.path}; expected "
                        "models that differ in their weights alone.")


def read_roles(names: Collection[str]) -> tuple[Role, ...]:
    """Roles by their labels. Raises ToolError."""
    known = {role.label: role for role in Role}
    for name in names:
        if name not in known:
            raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"--role names {name!r}; expected some of {', '.join(known)}.",
                            {"found": name})
    return tuple(known[name] for name in names)


def _differences(base: ModelFile, child: ModelFile) -> Iterator[tuple[Tensor, F32]]:
    for tensor in base.model.tensors:
        old, new = _weights(base, tensor), _weights(child, child.model.tensor(tensor.role, tensor.layer))
        delta = difference(old, new)
        if delta.any():
            yield tensor, delta


def _weights(file: ModelFile, tensor: Tensor) -> F32:
    return decode(file.data[tensor.offset : tensor.offset + tensor.payload_bytes], tensor.dtype, tensor.shape)


def difference(old: F32, new: F32) -> F32:
    """new - old, rounded once: old + it is new in f32 where new is within a factor of two of old (Sterbenz 1974)."""
    delta: F32 = (new.astype(np.float64) - old).astype(np.float32)
    return delta


def _is_chosen(tensor: Tensor, recipe: Recipe) -> bool:
    fits = recipe.format != PackageFormat.ALR1 or len(tensor.shape) == 2
    return fits and (not recipe.roles or tensor.role in recipe.roles)


def _dense(tensor: Tensor, delta: F32, _: Recipe) -> Change:
    return Dense(tensor.role, tensor.layer, delta)


def _sparse(tensor: Tensor, delta: F32, recipe: Recipe) -> Change:
    """The largest differences; of equal ones the first."""
    flat = delta.reshape(-1)
    most = -(-flat.size * recipe.keep_ppm // KEEP_ALL_PPM)
    largest = np.argsort(-np.abs(flat), kind="stable")[:most]
    indices = np.sort(largest[flat[largest] != 0])
    return Sparse(tensor.role, tensor.layer, tensor.shape, indices, flat[indices])


def _low_rank(tensor: Tensor, delta: F32, recipe: Recipe) -> Change:
    return LowRank(tensor.role, tensor.layer, *factors(delta, recipe.rank))


def factors(delta: F32, rank: int) -> tuple[F32, F32]:
    """A, B with B A closest to `delta` (Eckart and Young 1936); the singular values are shared out evenly

    The largest number of each column of B is positive: a decomposition leaves the sign open.
    """
    left, values, right = np.linalg.svd(delta.astype(np.float64), full_matrices=False)
    rank = min(rank, int(np.count_nonzero(values > values[0] * 1e-7)))
    left, right = left[:, :rank], right[:rank]
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])
    roots = np.sqrt(values[:rank]) * signs
    a: F32 = (right * roots[:, None]).astype(np.float32)
    return a, (left * roots).astype(np.float32)


_CHANGES = {PackageFormat.ADP1: _dense, PackageFormat.ASP1: _sparse, PackageFormat.ALR1: _low_rank}


def _exact_tensors(base: ModelFile, child: ModelFile, data: bytes) -> int:
    """How many of the package's tensors become the child's bytes."""
    package, exact = parse_package(data), 0
    for entry in package.entries:
        tensor, other = (file.model.tensor(entry.role, entry.layer) for file in (base, child))
        before = base.data[tensor.offset : tensor.offset + tensor.payload_bytes]
        after = changed_payload(before, tensor, update(change(entry, package.format), package.scale))
        exact += after == child.data[other.offset : other.offset + other.payload_bytes]
    return exact
