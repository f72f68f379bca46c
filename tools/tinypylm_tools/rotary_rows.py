"""The two orders of rows that a head's rotary pairs have: halves apart, or neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def neighbour_rows(heads: int, head_dim: int, rotary_dim: int) -> NDArray[np.intp]:
    """For each row of queries or keys with halves apart, its number where rotary pairs are neighbours.

    Only the first `rotary_dim` rows of a head turn; the rest stay where they are.
    """
    order = np.arange(head_dim)
    order[:rotary_dim] = np.arange(rotary_dim).reshape(-1, 2).T.reshape(-1)
    return (np.arange(heads)[:, None] * head_dim + order).reshape(-1)
