"""A run on disk: everything that going on needs, in one file that is whole or absent.

Read with `weights_only`, so that a checkpoint holds numbers and texts and no code.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from tinypylm.config import DType, Family, ModelConfig, Role
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.slm_writer import TensorKey, write_atomically

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
_GLOBAL = -1


@dataclass(slots=True)
class Progress:
    """What happened so far. `losses`: (step, nats per token since the entry before, tokens so far); `window`: losses of
    the steps since; `held_out`: (step, bits per byte). `seconds`: of the steps alone, each window's by its median."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    window: list[float] = field(default_factory=list)
    losses: list[tuple[int, float, int]] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> tuple[int, float] | None:
        """(step, bits per byte) of the lowest so far."""
        return min(self.held_out, key=lambda entry: entry[1], default=None)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`described` is the description as plain values; `tokenizer` is tokenizer.json; `parent` holds the SHA-256 of the
    files of the model that the run started from, by name."""

    described: dict[str, object]
    config: ModelConfig
    tokenizer: str
    parent: dict[str, str]
    weights: dict[TensorKey, Tensor]
    optimisers: list[dict[str, object]]
    progress: Progress


def teachers_of(checkpoint: Checkpoint) -> list[dict[str, str]]:
    """SHA-256 of each teacher's files, by name; empty where a run has none."""
    return checkpoint.described.get("teachers") or []  # type: ignore[return-value]  # written by opening


def write(path: Path, checkpoint: Checkpoint) -> None:
    """The file, on disk; a kill at any moment leaves the one before. Raises ToolError."""
    plain = {
        "described": checkpoint.described, "config": _plain_config(checkpoint.config),
        "tokenizer": checkpoint.tokenizer, "parent": checkpoint.parent, "optimisers": checkpoint.optimisers,
        "progress": asdict(checkpoint.progress),
        "weights": {_name(key): weight.detach() for key, weight in checkpoint.weights.items()}}
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    write_atomically(path, buffer.getvalue())


def read(path: Path) -> Checkpoint:
    """Raises ToolError for a file that is no checkpoint of ours."""
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
        progress = Progress(**plain.pop("progress"))
        config = _config(plain.pop("config"))
        weights = {_key(name): weight for name, weight in plain.pop("weights").items()}
        return Checkpoint(**plain, config=config, weights=weights, progress=progress)
    except (OSError, RuntimeError, UnpicklingError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ToolError(
            ErrorCode.UNUSABLE_RUN, f"{path} is no checkpoint of a run ({error!s:.200}); expected one that "
            "`tinypylm train` wrote. Take another folder, or delete this one to begin again.",
            {"file": str(path)}) from error


def _plain_config(config: ModelConfig) -> dict[str, object]:
    return {name: int(value) if isinstance(value, Family | DType) else value for name, value in asdict(config).items()}


def _config(plain: dict[str, int]) -> ModelConfig:
    """Field by field; most are integers."""
    known = plain | {"family": Family(plain["family"]), "quantization": DType(plain["quantization"])}
    return ModelConfig(**known)  # type: ignore[arg-type]  # written by _plain_config


def _name(key: TensorKey) -> str:
    role, layer = key
    return f"{role.label}.{_GLOBAL if layer is None else layer}"


def _key(name: str) -> TensorKey:
    label, layer = name.split(".")
    return Role[label.upper()], None if int(layer) == _GLOBAL else int(layer)
