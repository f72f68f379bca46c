"""Does a model fit, and what would? Answered from its configuration, before any weight is read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from tinypylm.config import DType, ModelConfig
from tinypylm.errors import BudgetError, ErrorCode, ToolError
from tinypylm.format import MODEL_BYTE_BUDGET
from tinypylm.format.header import DIMENSION_CAPS
from tinypylm.memory import ENGINE_MEMORY_BUDGET_BYTES, plan_memory
from tinypylm_tools.choices import Choices
from tinypylm_tools.slm_writer import plan_sections

_SMALLEST_VOCABULARY = 260
"""All bytes, begin and end, and two tokens more."""
_SHORTENED = {
    "vocab_size": "Prune the vocabulary with --prune-vocab TEXT.", "n_layers": "Drop some with --drop-layers.",
    "context_length": "Shorten it with --context-length.",
}


def check_dimensions(config: ModelConfig, but: str | None = None) -> None:
    """Every dimension (`but` one) is within the format's cap. Raises ToolError."""
    for name, cap in DIMENSION_CAPS.items():
        value = getattr(config, name)
        if name != but and not 1 <= value <= cap:
            raise ToolError(
                ErrorCode.BUDGET_EXCEEDED, f"{name} is {value:,}; the format allows 1 to {cap:,}. "
                f"{_SHORTENED.get(name, '') if value > cap else ''}".rstrip(),
                {"field": name, "found": value, "expected": cap})


def check_file(config: ModelConfig, choices: Choices, tokenizer_bytes: int, metadata_bytes: int) -> None:
    """The packed file is within the budget. Raises ToolError, which says what would be."""
    def size(changed: ModelConfig, kind: DType) -> int:
        tokenizer = tokenizer_bytes * changed.vocab_size // config.vocab_size
        dtypes = replace(choices, quantization=kind).dtypes(changed)
        return plan_sections(changed, dtypes, tokenizer, metadata_bytes).file_bytes

    needed = size(config, choices.quantization)
    if needed > MODEL_BYTE_BUDGET:
        raise ToolError(
            ErrorCode.BUDGET_EXCEEDED, f"The packed model needs {_mb(needed)} at {choices.quantization.label}; the "
            f"budget is {_mb(MODEL_BYTE_BUDGET)} ({MODEL_BYTE_BUDGET:,} bytes). "
            f"{_what_fits(config, choices.quantization, size)}", {"found": needed, "expected": MODEL_BYTE_BUDGET})


def check_memory(config: ModelConfig, file_bytes: int) -> None:
    """Running the model is within the memory budget. Raises BudgetError."""
    needed = plan_memory(config, file_bytes).total_bytes
    if needed <= ENGINE_MEMORY_BUDGET_BYTES:
        return
    length = _largest(config.context_length, 1, lambda n: plan_memory(
        replace(config, context_length=n), file_bytes).total_bytes <= ENGINE_MEMORY_BUDGET_BYTES)
    advice = f"It would fit with --context-length {length}" if length else "It would not fit with any context"
    raise BudgetError(
        ErrorCode.BUDGET_EXCEEDED, f"Running the packed model would take {needed:,} bytes of memory; a model may take "
        f"{ENGINE_MEMORY_BUDGET_BYTES:,}. {advice}; it has {config.context_length}.",
        {"found": needed, "expected": ENGINE_MEMORY_BUDGET_BYTES})


def _what_fits(config: ModelConfig, kind: DType, size: Callable[[ModelConfig, DType], int]) -> str:
    def layers(vocabulary: int) -> int:
        return _largest(config.n_layers, 1, lambda n: size(
            replace(config, n_layers=n, vocab_size=vocabulary), kind) <= MODEL_BYTE_BUDGET)

    vocabulary = _largest(config.vocab_size, _SMALLEST_VOCABULARY, lambda n: size(
        replace(config, vocab_size=n), kind) <= MODEL_BYTE_BUDGET)
    ways = [f"as {smaller.label}" for smaller in DType if smaller > kind and size(config, smaller) <= MODEL_BYTE_BUDGET]
    ways += [f"with a vocabulary of {vocabulary:,} (--prune-vocab TEXT)"] if vocabulary else []
    ways += [f"with {_layers(layers(config.vocab_size))} (--drop-layers)"] if layers(config.vocab_size) else []
    if ways:
        return f"It would fit {' or '.join(ways)}."
    quarter = max(_SMALLEST_VOCABULARY, config.vocab_size // 4)
    if layers(quarter):
        return f"It would fit with a vocabulary of {quarter:,} and {_layers(layers(quarter))}."
    return "No vocabulary or number of layers would make it fit; use a model that is less wide."


def _largest(limit: int, lowest: int, fits: Callable[[int], bool]) -> int:
    """The largest number from `lowest` to `limit` that fits, where all smaller ones do too; 0 where none does."""
    found = bisect_right(range(lowest, limit + 1), False, key=lambda n: not fits(n))
    return lowest + found - 1 if found else 0


def _layers(count: int) -> str:
    return "one layer" if count == 1 else f"{count} layers"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
