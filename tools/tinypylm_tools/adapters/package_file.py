"""Adapter packages on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tinypylm.adapters.codes import AdapterCode, refusal
from tinypylm.adapters.package import STACK_BYTE_BUDGET, Package, parse_package
from tinypylm.errors import AdapterError, ErrorCode, ToolError


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A package that keeps every rule of its own: its bytes, and what they say."""

    path: Path
    data: bytes
    package: Package

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def open_package(path: Path) -> PackageFile:
    """The file with its package. Raises ToolError where it cannot be read, AdapterError where it is not valid."""
    try:
        size = path.stat().st_size
        if size > STACK_BYTE_BUDGET:
            raise refusal(AdapterCode.TOO_LARGE, str(path), f"{size} bytes", f"at most {STACK_BYTE_BUDGET} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ToolError(
            ErrorCode.MISSING_FILE, f"{path} cannot be read ({error.strerror}); expected an adapter package, as "
            "`tinypylm adapter make` writes it", {"path": str(path)}) from error
    try:
        return PackageFile(path, data, parse_package(data))
    except AdapterError as error:
        raise AdapterError(error.code, f"{path}: {error.message}", error.detail) from error


def read_scaled(text: str) -> tuple[Path, float | None]:
    """`FILE` or `FILE:SCALE`. Raises ToolError for a scale that is not a number."""
    name, colon, scale = text.rpartition(":")
    if not colon or Path(text).is_file():
        return Path(text), None
    try:
        return Path(name), float(scale)
    except ValueError:
        raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"{text!r} names no file, and {scale!r} behind its last colon is no "
                        "number; expected FILE or FILE:SCALE.", {"found": text}) from None
