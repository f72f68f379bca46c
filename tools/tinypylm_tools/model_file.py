"""Model files on disk: within the budget, and read whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, FormatError, ToolError
from tinypylm.format import MODEL_BYTE_BUDGET, FormatCode, Model, parse
from tinypylm.format.codes import refusal


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A valid file: its bytes, and what they say."""

    path: Path
    data: bytes
    model: Model

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def open_model(path: Path) -> ModelFile:
    """The file with its model. Raises ToolError where it cannot be read, FormatError where it is not valid."""
    data = read_model(path)
    try:
        return ModelFile(path, data, parse(data))
    except FormatError as error:
        raise FormatError(error.code, f"{path}: {error.message}", error.detail) from error


def read_model(path: Path) -> bytes:
    """The bytes of a model file, unchecked but for their number. Raises ToolError, FormatError."""
    try:
        size = path.stat().st_size
        if size > MODEL_BYTE_BUDGET:
            raise refusal(FormatCode.FILE_TOO_LARGE, str(path), f"{size} bytes", f"at most {MODEL_BYTE_BUDGET} bytes",
                          "Pack the model as q8_0 or q4_0, or use a smaller one.")
        return path.read_bytes()
    except OSError as error:
        raise ToolError(
            ErrorCode.MISSING_FILE,
            f"{path} cannot be read ({error.strerror}); expected a .slm file, as `tinypylm pack` writes it",
            {"path": str(path)},
        ) from error
