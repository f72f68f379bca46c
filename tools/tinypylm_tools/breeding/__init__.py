"""Breeding: `.slm` files in, a child and its records out. The same bytes on every machine; nothing is guessed.

    parents -> compatibility -> lineage -> blending or crossover -> receipts

`runtime/tinypylm/provenance/operators.py` says what each operator takes; `docs/breeding.md` has the arithmetic.
"""

from tinypylm_tools.breeding.child import Bred, breed, replay

__all__ = ["Bred", "breed", "replay"]
