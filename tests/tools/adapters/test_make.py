"""Packages from two models: what they hold, what they reproduce, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.adapters.packages import matrices, model_file, package
from tests.engine.models import config, neox, random_file
from tinypylm.adapters import PackageFormat, parse_package
from tinypylm.config import DType, Role
from tinypylm.errors import BudgetError, ErrorCode, FormatError, ToolError
from tinypylm.format import parse
from tinypylm_tools.adapters.changes import changes
from tinypylm_tools.adapters.combine import combine
from tinypylm_tools.adapters.make import Recipe, difference, factors, make
from tinypylm_tools.adapters.materialise import materialise
from tinypylm_tools.adapters.package_file import PackageFile
from tinypylm_tools.adapters.writer import Dense, LowRank, Sparse, facts, seal
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.slm_writer import Payload
from tinypylm_tools.slm_writer import seal as seal_file

SHAPE = config(n_layers=1)


def pair(dtype: DType = DType.Q8_0, shape=SHAPE) -> tuple[ModelFile, ModelFile]:
    shape = replace(shape, quantization=dtype)
    return model_file(random_file(shape, 1)), model_file(random_file(shape, 2))


def opened(data: bytes, name: str = "a.adapter") -> PackageFile:
    return PackageFile(Path(name), data, parse_package(data))


def tensors(data: bytes) -> list[bytes]:
    return [data[tensor.offset : tensor.offset + tensor.payload_bytes] for tensor in parse(data).tensors]


@pytest.mark.parametrize("shape", [SHAPE, neox(n_layers=1)])
@pytest.mark.parametrize("dtype", [DType.Q8_0, DType.Q4_0])
@pytest.mark.parametrize("kind", [PackageFormat.ADP1, PackageFormat.ASP1])
def test_a_quantised_child_is_reproduced_bit_for_bit(kind: PackageFormat, dtype: DType, shape) -> None:
    base, child = pair(dtype, shape)
    roles = (Role.WQ, Role.WO, Role.W_DOWN, Role.ATTN_NORM)
    made = make(base, child, Recipe(kind, roles=roles))
    again = materialise(base, [(parse_package(made.data), None)], [])
    quantised = [(role, 0) for role in roles if role is not Role.ATTN_NORM]
    for role, layer in quantised:
        one, other = (parse(data).tensor(role, layer) for data in (again, child.data))
        assert again[one.offset :][: one.payload_bytes] == child.data[other.offset :][: other.payload_bytes]
    assert made.exact >= len(quantised)


def test_a_file_that_its_lineage_makes_too_large_is_refused_not_written() -> None:
    """The digests of base and packages go into metadata that may be full already."""
    base, child = pair()
    payloads = {(t.role, t.layer): Payload(t.dtype, base.data[t.offset : t.offset + t.payload_bytes])
                for t in base.model.tensors}
    full = seal_file(base.model.config, payloads, None, {"description": "x" * 65_500})
    made = make(model_file(full), child, Recipe(PackageFormat.ASP1, keep_ppm=1000, roles=(Role.WQ,)))
    with pytest.raises(FormatError, match="metadata_bytes"):
        materialise(model_file(full), [(parse_package(made.data), None)], ["0" * 64])


def test_a_difference_added_again_is_exact_within_a_factor_of_two() -> None:
    rng = np.random.default_rng(0)
    old = rng.standard_normal(20_000).astype(np.float32)
    new = (old * rng.uniform(0.501, 2, old.shape)).astype(np.float32)
    assert (old + difference(old, new) == new).all()


def test_a_sparse_package_keeps_the_largest_differences() -> None:
    base, child = pair(DType.F32)
    dense = changes(parse_package(make(base, child, Recipe(PackageFormat.ADP1, roles=(Role.WQ,))).data))[0]
    made = parse_package(make(base, child, Recipe(PackageFormat.ASP1, 50_000, roles=(Role.WQ,))).data)
    sparse = changes(made)[0]
    assert isinstance(dense, Dense)
    assert isinstance(sparse, Sparse)
    assert made.keep_ppm == 50_000
    assert len(sparse.indices) == -(-dense.delta.size * 5 // 100)
    left_out = np.delete(np.abs(dense.delta).reshape(-1), sparse.indices)
    assert np.abs(sparse.deltas).min() >= left_out.max()
    np.testing.assert_array_equal(dense.delta.reshape(-1)[sparse.indices], sparse.deltas)


def test_factors_are_the_best_of_their_rank() -> None:
    delta = np.random.default_rng(0).standard_normal((40, 24)).astype(np.float32)
    a, b = factors(delta, 5)
    assert a.shape == (5, 24)
    error = np.linalg.norm(delta - b.astype(np.float64) @ a)
    assert error == pytest.approx(np.sqrt((np.linalg.svd(delta, compute_uv=False)[5:] ** 2).sum()), rel=1e-5)


def test_factors_of_a_product_have_its_rank_and_are_the_same_each_time() -> None:
    rng = np.random.default_rng(1)
    delta = (rng.standard_normal((40, 3)) @ rng.standard_normal((3, 24))).astype(np.float32)
    a, b = factors(delta, 8)
    assert a.shape[0] <= 8
    np.testing.assert_allclose(b @ a, delta, atol=1e-5)
    assert (factors(delta, 8)[0] == a).all()


def test_an_alr1_leaves_vectors_out_and_says_so() -> None:
    base, child = pair()
    made = make(base, child, Recipe(PackageFormat.ALR1, rank=2))
    assert set(made.left_out) == {"attn_norm of layer 0", "mlp_norm of layer 0", "final_norm"}
    assert all(entry.rank == 2 for entry in parse_package(made.data).entries)


def test_models_that_differ_in_more_than_weights_are_refused() -> None:
    base, _ = pair()
    other = model_file(random_file(config(n_layers=2)))
    with pytest.raises(ToolError) as refused:
        make(base, other, Recipe(PackageFormat.ADP1))
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE


def test_equal_models_have_no_difference() -> None:
    base, _ = pair()
    with pytest.raises(ToolError, match="there is none"):
        make(base, base, Recipe(PackageFormat.ASP1))


def test_a_package_over_the_budget_is_refused_with_advice() -> None:
    shape = config(n_layers=8, ffn_size=512)
    base, child = pair(DType.F32, shape)
    with pytest.raises(BudgetError, match="--role"):
        make(base, child, Recipe(PackageFormat.ADP1))


def test_a_child_of_another_quantization_can_be_the_goal() -> None:
    base, _ = pair(DType.Q4_0)
    child = model_file(random_file(replace(SHAPE, quantization=DType.F32), 2))
    made = make(base, child, Recipe(PackageFormat.ADP1, roles=(Role.WQ,)))
    assert made.exact == 0


def test_combining_factors_puts_them_side_by_side() -> None:
    base, _ = pair(DType.F32)
    one, other = (opened(package(base, PackageFormat.ALR1, matrices(base), seed, scale=2.0)) for seed in (1, 2))
    both = combine([one, other], [0.5, -0.25])
    parts = [changes(file.package) for file in (one, other)]
    for first, second, made in zip(*parts, changes(parse_package(both.data)), strict=True):
        assert isinstance(first, LowRank)
        assert isinstance(second, LowRank)
        assert isinstance(made, LowRank)
        np.testing.assert_array_equal(made.a, np.concatenate([first.a * 1, second.a * np.float32(-0.5)]))
        np.testing.assert_array_equal(made.b, np.concatenate([first.b, second.b], axis=1))
    assert both.rounded == 0


@pytest.mark.parametrize("kind", [PackageFormat.ADP1, PackageFormat.ASP1])
def test_combining_deltas_adds_them(kind: PackageFormat) -> None:
    base, _ = pair(DType.F32)
    one, other = (opened(package(base, kind, [(Role.WQ, 0), (Role.WK, 0)], seed)) for seed in (1, 2))
    combined = parse_package(combine([one, other], [2, 0.5]).data)
    stacked = materialise(base, [(one.package, 2.0), (other.package, 0.5)], [])
    at_once = materialise(base, [(combined, None)], [])
    for a, b in zip(tensors(stacked), tensors(at_once), strict=True):
        np.testing.assert_allclose(np.frombuffer(a, "<f4"), np.frombuffer(b, "<f4"), atol=1e-6)


def test_sparse_packages_that_touch_different_weights_combine_exactly() -> None:
    base, _ = pair(DType.F32)
    left = Sparse(Role.WQ, 0, (64, 64), np.array([1, 5]), np.array([0.1, 0.2], np.float32))
    right = Sparse(Role.WQ, 0, (64, 64), np.array([2, 7]), np.array([0.3, 0.4], np.float32))
    combined = combine([opened(seal(facts(base), [one], 1.0, 1_000)) for one in (left, right)], [1, 2])
    assert combined.rounded == 0
    assert parse_package(combined.data).keep_ppm == -(-4 * 1_000_000 // 4096)


def test_a_sum_of_nothing_is_refused() -> None:
    base, _ = pair(DType.F32)
    one = opened(package(base, PackageFormat.ASP1, [(Role.WQ, 0)]))
    with pytest.raises(ToolError, match="cancel each other out"):
        combine([one, one], [1, -1])


def test_what_cannot_be_combined_is_refused() -> None:
    base, child = pair(DType.F32)
    factor = opened(package(base, PackageFormat.ALR1, [(Role.WQ, 0)], rank=40))
    dense, foreign = (opened(package(file, PackageFormat.ADP1, [(Role.WQ, 0)])) for file in (base, child))
    for files, weights, words in (
        ([factor, dense], [1, 1], "one format"), ([dense, foreign], [1, 1], "one base"),
        ([factor, factor], [1, 1], "add up to 80"), ([dense, dense], [1], "one for each"), ([dense], [0], "not zero"),
    ):
        with pytest.raises(ToolError, match=words) as refused:
            combine(files, weights)
        assert refused.value.code is ErrorCode.UNUSABLE_CHOICE
