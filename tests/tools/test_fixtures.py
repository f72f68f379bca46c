"""The committed test models are what their script writes, and what other people's software would read in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tinypylm.config import Role, TensorSpec
from tinypylm.format import parse
from tinypylm_tools.fixtures import fixtures, weights

SHA256 = {
    "tiny-test-model.slm": "8f13539e7ee5b67c287180b0431d2045a5a8583012edcd5cd1b01775b1888f0e",
    "tiny-test-model-q8_0.slm": "175e2b0b26fa8de05ce2ced7d1e9b2ec85d07265e8f0daf6d94bf2516da799bd",
    "tiny-test-model-q4_0.slm": "f054d5a8d20d590f338fa2b42e01a67e21af6682096387fb66bd5c8a00bb4ceb",
    "tiny-test-model-bpe.slm": "1fed2850fb80ec725192408a35b710dd335eb805fd24495454ddec4d14d1c60e",
}


@pytest.mark.parametrize("name", SHA256)
def test_a_fixture_has_the_bytes_it_always_had(name: str, repo_root: Path) -> None:
    made = fixtures()[name]
    assert hashlib.sha256(made).hexdigest() == SHA256[name]
    assert (repo_root / "models" / "fixtures" / name).read_bytes() == made
    parse(made)


def test_the_weights_are_the_documented_integers() -> None:
    """SplitMix64 in Python's integers, for the first weights of tensor 3."""
    mask, seed = 2**64 - 1, 3 << 32
    expected = []
    for index in range(4):
        z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        expected.append(((z ^ z >> 31) >> 40) * 2.0**-24 - 0.5)
    assert weights(3, TensorSpec(Role.WQ, 0, (2, 2))).reshape(-1).tolist() == [float(np.float32(w)) for w in expected]


def test_splitmix64_gives_the_published_numbers() -> None:
    """The first outputs for seed 0 in the reference code (prng.di.unimi.it/splitmix64.c)."""
    from tinypylm_tools.fixtures import _split_mix

    assert [int(n) for n in _split_mix(np.uint64(0), 3)] == [
        0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
