"""Crossover: stored units of two models, chosen by one seeded bit each, copied byte for byte; nothing is requantised.

The bit of unit j is the lowest of word j in the stream of the first parent (ascending by SHA-256) and of the leader
among linked tensors, which move together: embeddings and output, gate and up, a norm and its bias, a matrix and its
bias. A layer is one unit, led by its attn_norm; the tensors outside of layers are another, led by tok_embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import DType, Role
from tinypylm.format import Tensor
from tinypylm.provenance.operators import Unit
from tinypylm.quant import BLOCK_ELEMENTS, code_bytes
from tinypylm_tools.breeding import stream
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.stored import AT_ONCE, U8, StoredTensor

LEADERS = {
    Role.OUTPUT: Role.TOK_EMBEDDINGS, Role.FINAL_NORM_BIAS: Role.FINAL_NORM, Role.ATTN_NORM_BIAS: Role.ATTN_NORM,
    Role.MLP_NORM_BIAS: Role.MLP_NORM, Role.W_UP: Role.W_GATE, Role.BQ: Role.WQ, Role.BK: Role.WK, Role.BV: Role.WV,
    Role.BO: Role.WO, Role.B_UP: Role.W_UP, Role.B_DOWN: Role.W_DOWN,
}
"""The tensor whose words decide, where it is in the model."""

BIASES = frozenset({Role.BQ, Role.BK, Role.BV, Role.BO, Role.B_UP, Role.B_DOWN})
"""Element r goes with row r of the matrix; in units of blocks with the first block of that row."""

Bits = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """The units of one tensor, and for each of them whether it comes from the second parent.

    A row has `blocks` units of 32 elements, the last one maybe shorter, or 1 where rows are units.
    """

    unit: Unit
    columns: int
    blocks: int
    from_second: Bits

    def numbers(self, elements: Numbers) -> Numbers:
        """The unit of each of these elements of the tensor, flat."""
        if self.unit is Unit.LAYER:
            return np.zeros_like(elements)
        row, column = elements // self.columns, elements % self.columns
        return row * self.blocks + (column // BLOCK_ELEMENTS if self.unit is Unit.BLOCK else 0)


def plan(tensor: Tensor, tensors: Sequence[Tensor], first_sha256: str, chosen: Parameters) -> Plan:
    """Which units `tensor` has among the `tensors` of its model, and where each comes from."""
    by_key = {(other.role, other.layer): other for other in tensors}
    if chosen.unit is Unit.LAYER:
        role = Role.TOK_EMBEDDINGS if tensor.layer is None else Role.ATTN_NORM
        return Plan(chosen.unit, 1, 1, _bits(role, tensor, first_sha256, chosen.seed, 1))
    rows, columns, blocks = _rows(tensor, by_key[_matrix(tensor), tensor.layer], chosen.unit)
    leader = tensor.role
    while (LEADERS.get(leader, leader), tensor.layer) in by_key and leader in LEADERS:
        leader = LEADERS[leader]
    return Plan(chosen.unit, columns, blocks, _bits(leader, tensor, first_sha256, chosen.seed, rows * blocks))


def cross(plan: Plan, first: StoredTensor, second: StoredTensor, child: StoredTensor) -> tuple[int, int]:
    """Fills `child`; how many elements came from the first and from the second parent."""
    taken = 0
    step = 1 if child.dtype is DType.F32 else BLOCK_ELEMENTS
    for start in range(0, child.elements, AT_ONCE):
        end = min(start + AT_ONCE, child.elements)
        chosen = plan.from_second[plan.numbers(np.arange(start, end, step, dtype=np.int64))]
        child.put(start, end, _mixed(first, second, start, end, chosen).data)
        taken += step * int(np.count_nonzero(chosen))
    return child.elements - taken, taken


def _mixed(first: StoredTensor, second: StoredTensor, start: int, end: int, chosen: Bits) -> U8:
    """The pieces of the first parent with the chosen blocks (f32: elements) of the second."""
    pieces = np.frombuffer(bytearray(first.pieces(start, end)), np.uint8)
    others = np.frombuffer(second.pieces(start, end), np.uint8)
    split = code_bytes(first.dtype, (end - start,))
    for part in (slice(0, split), slice(split, None)):
        if pieces[part].size:
            pieces[part].reshape(chosen.size, -1)[chosen] = others[part].reshape(chosen.size, -1)[chosen]
    return pieces


def _matrix(tensor: Tensor) -> Role:
    return LEADERS[tensor.role] if tensor.role in BIASES else tensor.role


def _rows(tensor: Tensor, matrix: Tensor, unit: Unit) -> tuple[int, int, int]:
    """Rows, elements of `tensor` in one, units in one. A norm is a row; a bias has the rows of its matrix."""
    rows, width = matrix.shape if len(matrix.shape) == 2 else (1, matrix.shape[0])
    blocks = -(-width // BLOCK_ELEMENTS) if unit is Unit.BLOCK else 1
    return rows, 1 if tensor.role in BIASES else width, blocks


def _bits(role: Role, tensor: Tensor, first_sha256: str, seed: int, count: int) -> Bits:
    words = stream.words("crossover", seed, first_sha256, role, tensor.layer, count)
    return (words & 1).astype(np.bool_)
