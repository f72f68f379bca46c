"""A model as it is measured: the same weights and tokens, and no text of it ends before it is told to."""

from __future__ import annotations

from dataclasses import replace

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.slm_writer import Payload, assemble

FEWEST_TOKENS = 32
"""Fewer say nothing of a rate. A context has to hold a prompt of so many, and as many behind it."""


def endless(file: ModelFile) -> bytes:
    """The file without its end token and without metadata; every token costs what it did. Raises ToolError.

    The metadata of a bred model name parents, which a folder with this one model does not have.
    """
    length, header = file.model.config.context_length, file.model.header
    if length < 2 * FEWEST_TOKENS:
        raise ToolError(
            ErrorCode.UNUSABLE_CHOICE, f"{file.path} has a context of {length} tokens; expected "
            f"{2 * FEWEST_TOKENS} or more, a prompt and as much behind it. Measure another model.",
            {"found": length, "expected": 2 * FEWEST_TOKENS})
    payloads = {(tensor.role, tensor.layer): Payload(
        tensor.dtype, file.data[tensor.offset : tensor.offset + tensor.payload_bytes]) for tensor in file.model.tensors}
    tokenizer = file.data[header.tokenizer_offset : header.tokenizer_end]
    return assemble(replace(file.model.config, eos_id=None), payloads, tokenizer, b"")
