"""Packages of random changes for the models of `tests.engine.models`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tinypylm.adapters.entries import PackageFormat
from tinypylm.config import Role
from tinypylm.format import parse
from tinypylm_tools.adapters.writer import Change, Dense, LowRank, Sparse, facts, seal
from tinypylm_tools.model_file import ModelFile

Tensors = list[tuple[Role, int | None]]


def model_file(data: bytes) -> ModelFile:
    return ModelFile(Path("base.slm"), data, parse(data))


def package(file: ModelFile, kind: PackageFormat, tensors: Tensors, seed: int = 0, **options: float) -> bytes:
    """A package that changes `tensors`; `share` is that of the values which an ASP1 changes, `rank` that of an ALR1."""
    rng, share, rank = np.random.default_rng(seed), options.get("share", 0.05), int(options.get("rank", 3))
    changes = [random_change(file, kind, *key, rng, share, rank) for key in tensors]
    keep = int(1e6) if kind is PackageFormat.ASP1 else 0
    return seal(facts(file), changes, options.get("scale", 1.0), keep)


def random_change(
    file: ModelFile, kind: PackageFormat, role: Role, layer: int | None, rng: np.random.Generator, share: float,
    rank: int,
) -> Change:
    shape = file.model.tensor(role, layer).shape
    if kind is PackageFormat.ALR1:
        a = rng.standard_normal((rank, shape[1])).astype(np.float32) / np.float32(8)
        return LowRank(role, layer, a, rng.standard_normal((shape[0], rank)).astype(np.float32) / np.float32(8))
    delta = (rng.standard_normal(shape) * 0.05).astype(np.float32)
    if kind is PackageFormat.ADP1:
        delta[rng.random(shape) < 0.3] = 0
        return Dense(role, layer, delta)
    count = max(1, round(share * delta.size))
    indices = np.sort(rng.choice(delta.size, count, replace=False))
    return Sparse(role, layer, shape, indices, delta.reshape(-1)[indices] + np.float32(1e-6))


def all_tensors(file: ModelFile) -> Tensors:
    return [(tensor.role, tensor.layer) for tensor in file.model.tensors]


def matrices(file: ModelFile) -> Tensors:
    return [(tensor.role, tensor.layer) for tensor in file.model.tensors if len(tensor.shape) == 2]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
