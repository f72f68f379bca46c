"""The figures that the page and the command line show.

Every key is there from the start; None where nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinypylm.chat import can_chat
from tinypylm.engine import Engine

Figures = dict[str, str | int | float | None]

NO_MODEL_FIGURES: Figures = dict.fromkeys((
    "model_id", "family", "quantization", "vocab_size", "context_length", "can_chat", "file_bytes",
    "model_load_ms", "emit_ms", "compile_ms", "module_bytes", "dot_products",
    "kv_cache", "kv_cache_bytes", "scratch_arena_bytes", "scratch_arena_peak_bytes", "planned_memory_bytes",
    "linear_memory_bytes",
))


@dataclass(slots=True)
class Pace:
    """Seconds of work, and what was done in them. Waiting between two calls of the session is not work."""

    prompt_tokens: int = 0
    reused_prompt_tokens: int = 0
    prompt_seconds: float = 0.0
    decode_passes: int = 0
    decode_seconds: float = 0.0
    started_at: float = 0.0
    first_token_seconds: float | None = None

    def figures(self) -> Figures:
        return {
            "prompt_tokens": self.prompt_tokens,
            "reused_prompt_tokens": self.reused_prompt_tokens,
            "prompt_tokens_per_second": _rate(self.prompt_tokens - self.reused_prompt_tokens, self.prompt_seconds),
            "decode_tokens_per_second": _rate(self.decode_passes, self.decode_seconds),
            "time_to_first_token_ms": self.first_token_seconds and _ms(self.first_token_seconds),
        }


def model_figures(engine: Engine, load_seconds: float) -> Figures:
    """What is known of a model from its loading on."""
    config, plan = engine.config, engine.plan
    return {
        "model_id": _name(engine.model.metadata), "family": config.family.name.lower(),
        "quantization": config.quantization.label, "vocab_size": config.vocab_size,
        "context_length": config.context_length, "can_chat": can_chat(engine.model.metadata),
        "file_bytes": engine.model.file_bytes,
        "model_load_ms": _ms(load_seconds), "emit_ms": round(engine.emit_ms, 3),
        "compile_ms": round(engine.compile_ms, 3), "module_bytes": engine.module_bytes,
        "dot_products": engine.dot_products,
        "kv_cache": plan.kv_cache, "kv_cache_bytes": plan.kv_cache_bytes,
        "scratch_arena_bytes": plan.scratch_arena_bytes, "scratch_arena_peak_bytes": engine.scratch_peak_bytes,
        "planned_memory_bytes": plan.total_bytes, "linear_memory_bytes": engine.linear_memory_bytes,
    }


def adapter_figures(checksums: Sequence[int]) -> Figures:
    """Of the packages that are applied now: how many, and the checksum that the last one states."""
    return {
        "adapter_apply_count": len(checksums),
        "last_adapter_checksum": f"{checksums[-1]:08x}" if checksums else None,
    }


def _name(metadata: Mapping[str, object]) -> str | None:
    name = metadata.get("name")
    return name if isinstance(name, str) else None


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 3) if count and seconds > 0 else None


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
