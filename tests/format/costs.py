"""What a verdict may cost: memory beside the file, and time. Nothing that a file holds may change that."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

from tinypylm.canonical import dumps
from tinypylm.errors import FormatError
from tinypylm.format import FormatCode, Model, parse
from tinypylm_tools.slm_writer import Payload, assemble, encode_vocabulary

MIB = 1 << 20
MOST_SECONDS = 1.0


def peak_memory(work: Callable[[], object]) -> int:
    """The most bytes of Python's allocators that `work` had at a time; its result dies."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def processor_seconds(work: Callable[[], object]) -> float:
    """Other processes on a busy machine do not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def verdict(data: bytes) -> Model | FormatCode:
    """The model, or the code of the rule that it breaks; any other exception fails the test."""
    try:
        return parse(data)
    except FormatError as error:
        return FormatCode(error.code)


def checked_verdict(data: bytes) -> Model | FormatCode:
    """The verdict, which has kept within its costs; what is accepted is what the writer makes of the model again."""
    assert processor_seconds(lambda: verdict(data)) < MOST_SECONDS
    assert peak_memory(lambda: verdict(data)) < 2 * len(data) + MIB
    found = verdict(data)
    if isinstance(found, Model):
        assert written_again(found, data) == data
    return found


def written_again(model: Model, file: bytes) -> bytes:
    """The file that the writer makes of a model that was read from `file`."""
    stored = {(tensor.role, tensor.layer): Payload(
        tensor.dtype, file[tensor.offset : tensor.offset + tensor.payload_bytes]) for tensor in model.tensors}
    tokenizer = encode_vocabulary(model.tokenizer) if model.header.tokenizer_bytes else b""
    return assemble(model.config, stored, tokenizer, dumps(model.metadata) if model.header.metadata_bytes else b"")
