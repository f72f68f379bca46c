"""Seeded numbers that depend on nothing else: SHAKE-256 over what they are for, read as little-endian u32 words.

Four parts, each behind its length as u32: the domain, the seed as u64, the 32 bytes of a parent file's SHA-256, and the
tensor's role (u16) with its layer (u32, 2^32 - 1 for a global tensor). Word j decides element, or unit, j.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import Role
from tinypylm.format.tensors import GLOBAL_LAYER

U32 = NDArray[np.uint32]


def words(domain: str, seed: int, parent_sha256: str, role: Role, layer: int | None, count: int) -> U32:
    """The first `count` words of the stream; `domain` is such as `dare`, which stands for `slm/breed/dare/v1`."""
    parts = (
        f"slm/breed/{domain}/v1".encode(), struct.pack("<Q", seed), bytes.fromhex(parent_sha256),
        struct.pack("<HI", role, GLOBAL_LAYER if layer is None else layer))
    shake = hashlib.shake_256()
    for part in parts:
        shake.update(struct.pack("<I", len(part)) + part)
    return np.frombuffer(shake.digest(4 * count), "<u4")
