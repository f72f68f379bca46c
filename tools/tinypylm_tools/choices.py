"""What a user decides about a packed file, besides which checkpoint it is made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.config import DType, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waivers
from tinypylm_tools.slm_writer import TensorKey, stored_dtype

_ROLES = {role.label: role for role in Role}
_TYPES = {dtype.label: dtype for dtype in DType}


@dataclass(frozen=True, slots=True)
class Choices:
    """`mixed` gives all tensors of a role another type; `pruning_text` and `calibration_text` are texts, not paths."""

    quantization: DType
    context_length: int | None = None
    mixed: Mapping[Role, DType] = field(default_factory=dict)
    search: bool = False
    calibration_text: str | None = None
    pruning_text: str | None = None
    dropped_layers: frozenset[int] = frozenset()
    waivers: Waivers = NO_WAIVERS

    def __post_init__(self) -> None:
        if self.calibration_text is not None and not self.search:
            raise ToolError(ErrorCode.UNUSABLE_CHOICE, "A calibration text was given, for which the default rule has "
                            "no use; expected --quantizer search with it.")

    def dtype(self, spec: TensorSpec) -> DType:
        """f32 for vectors, and for rows that are not a multiple of 32."""
        return stored_dtype(spec.shape, self.mixed.get(spec.role, self.quantization))

    def record(self, original: ModelConfig) -> JsonObject:
        """The metadata key `packing`: what was chosen beyond the defaults; no key where nothing was."""
        told: JsonObject = {"quantizer": "search"} if self.search else {}
        if self.calibration_text is not None:
            told["calibration_sha256"] = _digest(self.calibration_text)
        if self.mixed:
            told["mixed"] = ",".join(f"{role.label}={kind.label}" for role, kind in sorted(self.mixed.items()))
        if self.pruning_text is not None:
            told |= {"pruned_from_tokens": original.vocab_size, "pruning_sha256": _digest(self.pruning_text)}
        if self.dropped_layers:
            told["dropped_layers"] = ",".join(map(str, sorted(self.dropped_layers)))
        if self.waivers:
            told["without"] = ",".join(sorted(self.waivers))
        return {"packing": told} if told else {}

    def dtypes(self, config: ModelConfig) -> dict[TensorKey, DType]:
        return {(spec.role, spec.layer): self.dtype(spec) for spec in expected_tensors(config)}


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises ToolError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ToolError(ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); expected a text file.",
                        {"file": str(path)}) from error
    except UnicodeDecodeError as error:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{path} is not UTF-8 text ({error}); convert it.",
                        {"file": str(path)}) from error


def read_mixed(text: str) -> dict[Role, DType]:
    """`output=q8_0,w_down=q8_0` as types by role. Raises ToolError."""
    mixed: dict[Role, DType] = {}
    for part in text.split(","):
        name, _, kind = part.strip().partition("=")
        if name not in _ROLES or kind not in _TYPES:
            raise ToolError(
                ErrorCode.UNUSABLE_CHOICE, f"--mixed holds {part.strip()!r}; expected ROLE=TYPE with a role of "
                f"{', '.join(_ROLES)} and a type of {', '.join(_TYPES)}.", {"found": part.strip()})
        mixed[_ROLES[name]] = _TYPES[kind]
    return mixed


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def check_mixed(mixed: Mapping[Role, DType], config: ModelConfig) -> None:
    """Every role is one of the model's matrices. Raises ToolError."""
    matrices = [spec.role for spec in expected_tensors(config) if len(spec.shape) == 2]
    for role in mixed:
        if role not in matrices:
            raise ToolError(
                ErrorCode.UNUSABLE_CHOICE, f"--mixed names {role.label}, which is no matrix of this model; expected "
                f"some of {', '.join(dict.fromkeys(matrix.label for matrix in matrices))}. Norms and biases stay f32.",
                {"found": role.label})
