"""The bytes of a file, or an error that names it."""

from __future__ import annotations

from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError


def read_file(path: Path) -> bytes:
    """Raises ToolError (MissingFile)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolError(ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}).",
                        {"path": str(path)}) from error
