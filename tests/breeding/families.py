"""Small models that are related: a base of a family and type, and parents that were moved away from it at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from tinypylm.canonical import JsonObject
from tinypylm.config import DType, Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.blending import Blender, Trace
from tinypylm_tools.breeding.joining import Extent
from tinypylm_tools.breeding.parameters import read_parameters
from tinypylm_tools.breeding.stored import StoredTensor
from tinypylm_tools.breeding.thinning import Site
from tinypylm_tools.fixtures import BYTE_CONFIG, weights
from tinypylm_tools.quantise import F32, encode
from tinypylm_tools.slm_writer import Payload, seal, stored_dtype

LLAMA = replace(BYTE_CONFIG, hidden_size=32, n_heads=2, n_kv_heads=1, ffn_size=64)
NEOX = replace(LLAMA, family=Family.GPT_NEOX, n_kv_heads=2, parallel_residual=True, tied_embeddings=False)
CONFIGS = {"llama": LLAMA, "neox": NEOX}
GIVEN: dict[str, JsonObject] = {
    "sparse-task-delta": {"keep_ppm": 250_000}, "magnitude-prune": {"keep_ppm": 750_000, "floor_ppm": 1_000},
    "dare": {"keep_ppm": 400_000, "seed": "7"}, "crossover": {"seed": "7", "unit": "block"},
    "sign-merge": {"keep_ppm": 500_000}, "della": {"keep_ppm": 400_000, "floor_ppm": 100_000, "seed": "7"},
    "breadcrumbs": {"keep_ppm": 300_000, "floor_ppm": 600_000}, "split-point": {"keep_ppm": 500_000},
}
"""Parameters for the operators that need some, or are duller without."""


@cache
def related(family: str, dtype: DType, number: int) -> bytes:
    """Model `number` of this family and type; 0 is the base."""
    return relative(replace(CONFIGS[family], quantization=dtype), number)


def relative(config: ModelConfig, number: int) -> bytes:
    """The same for any configuration."""
    payloads = {}
    for index, spec in enumerate(expected_tensors(config)):
        kind = stored_dtype(spec.shape, config.quantization)
        payloads[spec.role, spec.layer] = Payload(kind, encode(_moved(index, spec, number), kind, "w"))
    return seal(config, payloads, None, {"name": f"Model {number}", "licence": "MIT"})


def _moved(index: int, spec: TensorSpec, number: int) -> F32:
    """The fixture's weights, plus those of another seed where these are small; the rest stays."""
    base = weights(index, spec)
    step = weights(index + 1000 * number, spec) - (1 if "norm" in spec.role.label and spec.role.value % 2 == 0 else 0)
    return base + np.where((number > 0) & (np.abs(step) < 0.25), step / 4, 0).astype(np.float32)


def parents_of(operator: str, family: str, dtype: DType) -> tuple[bytes | None, list[bytes]]:
    """A base, if the operator takes one, and as many parents as suit it."""
    table = OPERATORS[operator]
    others = [related(family, dtype, number) for number in range(1, min(table.most, 2) + 1)]
    return (related(family, dtype, 0) if table.base else None), others


def stored(values: ArrayLike) -> StoredTensor:
    """A vector of f32."""
    array = np.array(values, "<f4").reshape(-1)
    return StoredTensor("w", DType.F32, array.shape, memoryview(bytearray(array.tobytes())))


def blended(
    operator: str, base: ArrayLike | None, parents: Sequence[ArrayLike], given: JsonObject | None = None
) -> tuple[F32, Trace]:
    """What the operator makes of one tensor of f32, and its trace. Parent i has the digest 0101.. + i."""
    opened = [stored(parent) for parent in parents]
    elements = opened[0].elements
    child = stored(np.zeros(elements))
    chosen = read_parameters(operator, given or {}, len(parents))
    sites = [Site(Role.WQ, 3, f"{number + 1:02x}" * 32) for number in range(len(parents))]
    trace, _ = Blender(operator, chosen, len(parents)).tensor(
        None if base is None else stored(base), opened, sites, Extent(0, elements, 1), child)
    return child.values(0, elements), trace
