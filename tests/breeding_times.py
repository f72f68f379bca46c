"""How long each operator takes on a base and two parents of fifty million parameters: `python -m tests.breeding_times`.

The benchmark's shape C as q4_0, with random weights.
"""

from __future__ import annotations

from time import perf_counter

from tinypylm.canonical import JsonObject
from tinypylm.config import DType
from tinypylm.provenance.operators import OPERATORS, Operator
from tinypylm_tools.bench_models import SHAPES, random_model
from tinypylm_tools.breeding import breed

KEPT_PPM = 300_000


def main() -> None:
    base, *parents = (random_model(SHAPES["C"], DType.Q4_0, seed) for seed in range(3))
    for name, operator in OPERATORS.items():
        taken = parents[: operator.most]
        started = perf_counter()
        breed(name, _parameters(operator), taken, base=base if operator.base else None)
        print(f"{name}: {perf_counter() - started:.1f} s, {len(taken)} parents")


def _parameters(operator: Operator) -> JsonObject:
    """A part of each difference, where the operator keeps parts; else its defaults."""
    return {"keep_ppm": KEPT_PPM} if operator.keep else {}


if __name__ == "__main__":
    main()
