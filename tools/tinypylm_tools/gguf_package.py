"""The package `gguf`, which is optional: asked for by name, and missed in words."""

from __future__ import annotations

import importlib
from types import ModuleType

from tinypylm.errors import ErrorCode, ToolError


def gguf_package(purpose: str) -> ModuleType:
    """Raises ToolError where it is not installed."""
    try:
        return importlib.import_module("gguf")
    except ImportError as error:
        raise ToolError(
            ErrorCode.PACKAGE_MISSING, f"{purpose} needs the package gguf, which is not installed. Install it: pip "
            "install gguf", {"package": "gguf"}) from error
