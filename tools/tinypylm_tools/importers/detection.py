"""Which kind of checkpoint a path is: a folder, a GGUF file or a file of llama2.c."""

from __future__ import annotations

from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.byte_tokens import with_byte_tokens
from tinypylm_tools.importers.gguf_model import open_gguf
from tinypylm_tools.importers.hugging_face import open_folder
from tinypylm_tools.importers.llama2c import open_llama2c
from tinypylm_tools.importers.source import Source
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waivers


def open_source(path: Path, tokenizer: Path | None = None, waivers: Waivers = NO_WAIVERS) -> Source:
    """The checkpoint at `path`, with the tokenizer in a file of its own if one is given. Raises ToolError."""
    return with_byte_tokens(_open(path, tokenizer, waivers))


def _open(path: Path, tokenizer: Path | None, waivers: Waivers) -> Source:
    if path.is_dir() or not (path.suffix or path.exists()):
        return open_folder(path, tokenizer, waivers)
    match path.suffix.lower():
        case ".gguf" if tokenizer is None:
            return open_gguf(path, waivers)
        case ".gguf":
            raise ToolError(ErrorCode.UNUSABLE_CHOICE, f"--tokenizer was given for {path}; a GGUF file has its own.")
        case ".bin":
            return open_llama2c(path, tokenizer, waivers)
    raise ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"{path} is neither a folder nor a .gguf or .bin file. Name the folder that "
        "holds config.json, or one of these files.", {"found": path.suffix})
