"""Whole files: golden digests for every operator, family and type; order of parents; clones; what is copied."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.breeding.families import GIVEN, parents_of, related, stored
from tinypylm.canonical import JsonObject
from tinypylm.config import DType, Role
from tinypylm.errors import ErrorCode, FormatError, ToolError
from tinypylm.format import parse
from tinypylm.provenance.operators import OPERATORS, Unit
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.breeding import Bred, breed
from tinypylm_tools.breeding.stored import StoredTensor, StoringLoss, store
from tinypylm_tools.quantise import blocks, decode, payload
from tinypylm_tools.slm_writer import Payload, assemble

GOLDENS = Path(__file__).with_name("goldens.json")
CASES = [(operator, family, dtype) for operator in OPERATORS for family in ("llama", "neox") for dtype in DType]


def child_of(operator: str, family: str, dtype: DType, *, reverse: bool = False, **given: str | int) -> Bred:
    base, parents = parents_of(operator, family, dtype)
    chosen: JsonObject = {**GIVEN.get(operator, {}), **given}
    return breed(operator, chosen, parents[::-1] if reverse else parents, base=base)


def goldens() -> dict[str, str]:
    """Case to the SHA-256 of the child: `python -m tests.breeding.test_children` writes them anew."""
    return {f"{operator} {family} {dtype.label}": sha256(child_of(operator, family, dtype).child).hexdigest()
            for operator, family, dtype in CASES}


def payloads(data: bytes) -> dict[str, bytes]:
    return {tensor.name: data[tensor.offset : tensor.offset + tensor.payload_bytes] for tensor in parse(data).tensors}


@pytest.mark.parametrize(("operator", "family", "dtype"), CASES)
def test_a_child_has_the_golden_digest(operator: str, family: str, dtype: DType) -> None:
    known = json.loads(GOLDENS.read_text())
    assert sha256(child_of(operator, family, dtype).child).hexdigest() == known[f"{operator} {family} {dtype.label}"]


@pytest.mark.parametrize("operator", [name for name, table in OPERATORS.items() if table.most > 1])
def test_the_order_of_parents_matters_only_where_the_operator_tells_them_apart(operator: str) -> None:
    one, other = (child_of(operator, "llama", DType.Q8_0, reverse=reverse) for reverse in (False, True))
    assert (one == other) == OPERATORS[operator].symmetric


def test_weights_go_with_their_parents_into_the_order_of_digests() -> None:
    base, parents = parents_of("task-delta", "llama", DType.F32)
    one = breed("task-delta", {"weights_ppm": [1, 2]}, parents, base=base)
    other = breed("task-delta", {"weights_ppm": [2, 1]}, parents[::-1], base=base)
    assert one == other
    names = [str(fields(parent)["sha256"]) for parent in items(one.receipt["parents"])[1:]]
    assert names == sorted(names)


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize(("operator", "given"), [
    ("linear", {}), ("task-delta", {"weights_ppm": [1_000_000, 0]}), ("slerp", {}), ("crossover", {}),
    ("sign-merge", {}), ("split-point", {"keep_ppm": 500_000}),
])
def test_a_clone_is_refused(operator: str, given: JsonObject, dtype: DType) -> None:
    base, parent = related("llama", dtype, 0), related("llama", dtype, 1)
    with pytest.raises(ToolError) as refused:
        breed(operator, given, [parent, parent], base=base if OPERATORS[operator].base else None)
    assert refused.value.code is ErrorCode.CLONED_CHILD


@pytest.mark.parametrize("dtype", DType)
@pytest.mark.parametrize("operator", ["task-delta", "sparse-task-delta", "dare", "federated", "sign-merge",
                                      "magnitude-prune", "della", "breadcrumbs"])
def test_one_parent_at_full_rate_is_kept_byte_for_byte_and_so_refused(operator: str, dtype: DType) -> None:
    table = OPERATORS[operator]
    given: JsonObject = {"keep_ppm": 1_000_000} if table.keep else {}
    if operator == "della":
        given["floor_ppm"] = 1_000_000
    with pytest.raises(ToolError, match=r"weights of the (parent|reference)") as refused:
        breed(operator, given, [related("neox", dtype, 1)], base=related("neox", dtype, 0) if table.base else None)
    assert refused.value.code is ErrorCode.CLONED_CHILD


@pytest.mark.parametrize("dtype", DType)
def test_no_delta_at_all_is_a_clone_of_the_base(dtype: DType) -> None:
    base, parent = related("llama", dtype, 0), related("llama", dtype, 1)
    with pytest.raises(ToolError, match="weights of the base") as refused:
        breed("task-delta", {"weights_ppm": [0]}, [parent], base=base)
    assert refused.value.code is ErrorCode.CLONED_CHILD


def test_a_child_of_quantised_parents_states_changed_codes_and_errors() -> None:
    """Against what the files themselves say, decoded here."""
    bred = child_of("linear", "llama", DType.Q4_0)
    parents = sorted(parents_of("linear", "llama", DType.Q4_0)[1], key=lambda data: sha256(data).hexdigest())
    row = next(row for row in items(bred.receipt["tensors"]) if fields(row)["tensor"] == "wq of layer 1")
    tensor = parse(bred.child).tensor(Role.WQ, 1)
    child, first, second = (payloads(data)["wq of layer 1"] for data in (bred.child, *parents))
    ideal = (decode(first, DType.Q4_0, tensor.shape).astype(float) + decode(second, DType.Q4_0, tensor.shape)) / 2
    errors = np.abs(decode(child, DType.Q4_0, tensor.shape) - ideal)
    nibbles = [(a >> shift & 15, b >> shift & 15)
               for a, b in zip(child[:512], first[:512], strict=True) for shift in (0, 4)]
    assert fields(row)["changed"] == sum(a != b for a, b in nibbles)
    assert fields(row)["largest_error_bits"] == np.float32(errors.max()).byteswap().tobytes().hex()
    rms = np.frombuffer(bytes.fromhex(str(fields(row)["rms_error_bits"])), ">f4")[0]
    assert rms == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)


def test_blocks_that_do_not_change_keep_their_bytes_though_their_scale_is_no_default() -> None:
    values = np.random.RandomState(0).uniform(-1, 1, (4, 32)).astype(np.float32)
    scales, codes = blocks(values, DType.Q8_0, "w")
    odd = payload(scales * 2, codes // 2, DType.Q8_0)
    source, child = (StoredTensor("w", DType.Q8_0, (4, 32), memoryview(bytearray(data))) for data in (odd, bytes(136)))
    ideal = source.values(0, 128).astype(np.float64)
    ideal[40] += 0.5
    store(ideal, 0, [source], child, StoringLoss())
    assert child.pieces(0, 32) == source.pieces(0, 32)
    assert child.pieces(64, 128) == source.pieces(64, 128)
    assert child.pieces(32, 64) != source.pieces(32, 64)


def test_a_result_beyond_f32_is_refused_by_name() -> None:
    with pytest.raises(ToolError, match=r"w would hold inf at element 1; .* lower --weight-ppm") as refused:
        store(np.array([0.0, 1e39]), 0, [stored([0, 0])], stored([0, 0]), StoringLoss())
    assert refused.value.code is ErrorCode.NON_FINITE_WEIGHTS


def test_a_parent_that_is_no_model_is_refused() -> None:
    with pytest.raises(FormatError):
        breed("task-delta", {}, [b"no model"], base=related("llama", DType.F32, 0))


def units(data: bytes, role: Role, layer: int | None, elements: int) -> list[bytes]:
    """The stored bytes of a tensor in stretches of so many elements, scales behind their codes."""
    tensor = parse(data).tensor(role, layer)
    opened = StoredTensor(tensor.name, tensor.dtype, tensor.shape, memoryview(data)[tensor.offset :])
    return [opened.pieces(start, start + elements) for start in range(0, opened.elements, elements)]


@pytest.mark.parametrize(("unit", "elements"), [(Unit.BLOCK, 32), (Unit.ROW, 32)])
def test_crossover_copies_each_unit_from_one_parent_and_gate_and_up_from_the_same(unit: Unit, elements: int) -> None:
    bred = child_of("crossover", "llama", DType.Q8_0, unit=str(unit))
    parents = sorted(parents_of("crossover", "llama", DType.Q8_0)[1], key=lambda data: sha256(data).hexdigest())
    sources = {}
    for role in (Role.W_GATE, Role.W_UP, Role.WQ):
        mine, first, second = (units(data, role, 0, elements) for data in (bred.child, *parents))
        assert all(piece in (a, b) for piece, a, b in zip(mine, first, second, strict=True))
        sources[role] = [piece == b for piece, a, b in zip(mine, first, second, strict=True)]
    assert sources[Role.W_GATE] == sources[Role.W_UP]
    assert sources[Role.WQ] != sources[Role.W_UP][: len(sources[Role.WQ])]
    assert 10 < sum(sources[Role.W_UP]) < 54


def test_crossover_by_layers_moves_whole_layers_and_the_rest_as_one() -> None:
    """Seed 2 takes one layer from each parent."""
    bred = child_of("crossover", "neox", DType.F32, unit="layer", seed="2")
    parents = sorted(parents_of("crossover", "neox", DType.F32)[1], key=lambda data: sha256(data).hexdigest())
    mine, first, second = (payloads(data) for data in (bred.child, *parents))
    origin: dict[str, set[str]] = {}
    for name, data in mine.items():
        if first[name] != second[name]:
            part = name.partition(" of ")[2] or "rest"
            origin.setdefault(part, set()).add("first" if data == first[name] else "second")
            assert data in (first[name], second[name])
    assert all(len(parents) == 1 for parents in origin.values())
    assert set.union(*origin.values()) == {"first", "second"}


def test_crossover_by_rows_moves_a_bias_with_its_matrix_and_output_with_embeddings() -> None:
    bred = child_of("crossover", "neox", DType.F32, unit="row")
    parents = sorted(parents_of("crossover", "neox", DType.F32)[1], key=lambda data: sha256(data).hexdigest())

    def from_second(role: Role, layer: int | None, elements: int) -> list[bool | None]:
        mine, first, second = (units(data, role, layer, elements) for data in (bred.child, *parents))
        return [None if a == b else piece == b for piece, a, b in zip(mine, first, second, strict=True)]

    for one, other, layer in ((Role.W_UP, Role.B_UP, 0), (Role.WQ, Role.BQ, 1), (Role.W_DOWN, Role.B_DOWN, 1)):
        rows = from_second(one, layer, 64 if one is Role.W_DOWN else 32)
        assert all(b in (a, None) for a, b in zip(rows, from_second(other, layer, 1), strict=True))
    assert from_second(Role.TOK_EMBEDDINGS, None, 32) == from_second(Role.OUTPUT, None, 32)


def test_the_weights_of_a_model_do_not_depend_on_its_metadata() -> None:
    first = related("llama", DType.F32, 1)
    model = parse(first)
    renamed = assemble(
        model.config, {(t.role, t.layer): Payload(t.dtype, payloads(first)[t.name]) for t in model.tensors}, b"", b"")
    with pytest.raises(ToolError) as refused:
        breed("linear", {}, [first, renamed])
    assert refused.value.code is ErrorCode.CLONED_CHILD


if __name__ == "__main__":
    GOLDENS.write_text(json.dumps(goldens(), indent=1) + "\n")
