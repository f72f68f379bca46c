"""`--quantizer search`: for each block of 32 the scale with the least squared error, out of a grid and its refinements.

The file stays an ordinary one, since a reader does not care how a scale was chosen. The default rule is one of the
candidates, so no block gets worse than it. With `importance` (the mean square of what each column is multiplied by,
from a calibration text) the error that counts is that of the product, not of the weights.
"""

from __future__ import annotations

import numpy as np

from tinypylm.config import DType
from tinypylm.quant import BLOCK_ELEMENTS
from tinypylm_tools.quantise import F32, I8, Rule, blocks, codes_of, payload

# Divisors of a block's largest magnitude. Below the default's, the largest weights are clamped for the sake of the
# rest; above it, a largest weight that is negative takes the code that has no positive counterpart.
_DIVISORS = {
    DType.Q8_0: np.linspace(120, 129, 10, dtype=np.float32),
    DType.Q4_0: np.linspace(5.2, 8.8, 19, dtype=np.float32),
}
_WIDE = {DType.Q8_0: Rule(127, -128, 127), DType.Q4_0: Rule(7, -8, 7)}


def encode(values: F32, dtype: DType, name: str, importance: F32 | None) -> bytes:
    """The payload of rows of a finite tensor; `importance`: f32[columns], or None where all columns count alike."""
    rows = values.reshape(-1, BLOCK_ELEMENTS)
    weight = None if importance is None else np.tile(importance.reshape(-1, BLOCK_ELEMENTS), (len(values), 1))
    scales, codes = blocks(rows, dtype, name)
    best = _error(rows, scales, codes, weight)
    largest = np.abs(rows).max(axis=1)

    def try_scales(candidate: F32) -> I8:
        found = codes_of(rows, candidate, _WIDE[dtype])
        error = _error(rows, candidate, found, weight)
        better = error < best
        scales[better], codes[better], best[better] = candidate[better], found[better], error[better]
        return found

    for divisor in _DIVISORS[dtype]:
        found = try_scales(_stored(largest / divisor))
        try_scales(_refitted(rows, found, weight))
    return payload(scales, codes, dtype)


def _error(rows: F32, scales: F32, codes: I8, weight: F32 | None) -> F32:
    """sum(weight * (w - code * d)^2) of each block."""
    squares: F32 = np.square(rows - codes * scales[:, None])
    total: F32 = (squares if weight is None else squares * weight).sum(axis=1)
    return total


def _refitted(rows: F32, codes: I8, weight: F32 | None) -> F32:
    """The scale that suits these codes best: sum(w * code) / sum(code^2)."""
    numbers = codes.astype(np.float32)
    weighted = numbers if weight is None else numbers * weight
    over, under = (rows * weighted).sum(axis=1), (numbers * weighted).sum(axis=1)
    return _stored(np.divide(over, under, out=np.zeros_like(over), where=under > 0))


def _stored(scales: F32) -> F32:
    """As f16 stores them; too large ones become 0, which never wins against the default."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = scales.astype(np.float16).astype(np.float32)
    return np.where(np.isfinite(rounded) & (rounded > 0), rounded, np.float32(0))
