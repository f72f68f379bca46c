"""What this machine can do: the rate of the best matrix-vector kernel, and the work and the rate of one token."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from time import perf_counter

from tinypylm.config import DType, ModelConfig, Role, expected_tensors
from tinypylm.engine import Engine
from tinypylm.hosts import Host, Instance
from tinypylm.kernels import linear
from tinypylm.memory import PAGE_BYTES, aligned
from tinypylm.wasm.binary import MemoryImport
from tinypylm.wasm.kernel import ModuleBuilder

_COLS, _ROWS = 512, 8192
_ROWS_AT_ONCE = (1, 2, 4)


def macs_per_token(config: ModelConfig) -> int:
    """Multiply-accumulates of one token's matrix products; an untied embedding table is looked up, not multiplied."""
    matrices = [s for s in expected_tensors(config) if len(s.shape) == 2]
    looked_up = Role.OUTPUT in {s.role for s in matrices}
    return sum(s.shape[0] * s.shape[1] for s in matrices if not (looked_up and s.role is Role.TOK_EMBEDDINGS))


def network_rates(engine: Engine, prompt_tokens: int, tokens: int) -> tuple[float, float]:
    """Tokens per second of a prompt and of single tokens, each from an empty context; nothing is sampled,
    but the sum over the vocabulary is made, since threads make it with the logits

    The context is gone afterwards. What llama.cpp's `llama-bench` measures. Raises as `prefill` and `step` do.
    """
    engine.reset()
    started = perf_counter()
    for position in range(0, prompt_tokens, engine.chunk_tokens):
        engine.prefill([0] * min(engine.chunk_tokens, prompt_tokens - position), position)
    engine.raw_logit(0)
    read = perf_counter()
    for position in range(tokens):
        engine.step(0, position)
    ended = perf_counter()
    engine.reset()
    return prompt_tokens / (read - started), tokens / (ended - read)


def kernel_rate(host: Host, dtype: DType, seconds: float = 0.5) -> float:
    """Multiply-accumulates per second of the fastest variant of the one-token product, on one thread

    Each variant runs over the same 8192 x 512 matrix (2 to 16 MiB) for its share of `seconds`, in turns; the best
    call counts, so that a busy machine shows what it could do.
    """
    host = host.alone()
    ways = (False, True) if dtype is DType.Q4_0 and host.byte_dots else (False,)
    instance = _instance(host, dtype, ways)
    calls = [instance.export(_name(*variant)) for variant in product(_ROWS_AT_ONCE, ways)]
    best, ends = float("inf"), perf_counter() + seconds
    while perf_counter() < ends:
        for call in calls:
            start = perf_counter()
            for _ in range(_CALLS_TIMED):
                call(*_arguments(dtype))
            best = min(best, (perf_counter() - start) / _CALLS_TIMED)
    instance.free()
    return _ROWS * _COLS / best


_FILLING = b"\x3c"  # ordinary numbers in all types; pages that were never written are one page of zeros, in the cache
_CALLS_TIMED = 8  # a browser's clock may tick in steps of 0.1 ms


def _arguments(dtype: DType) -> tuple[int, ...]:
    """out, w, scales, x, x_scale, first, end."""
    codes = linear.CODE_BYTES[dtype](_ROWS * _COLS)
    scales_end = codes + 2 * _ROWS * _COLS // linear.BLOCK
    x = aligned(scales_end)
    return x + 4 * _COLS, 0, codes, x, x, 0, _ROWS


def _name(rows_at_once: int, byte_dots: bool) -> str:
    return f"rows_{rows_at_once}{'_bytes' if byte_dots else ''}"


def _instance(host: Host, dtype: DType, ways: Sequence[bool]) -> Instance:
    pages = -(-(_arguments(dtype)[0] + 4 * _ROWS) // PAGE_BYTES)
    module = ModuleBuilder(MemoryImport(pages, pages, shared=False))
    for rows, byte_dots in product(_ROWS_AT_ONCE, ways):
        shape = {"dtype": dtype, "cols": _COLS, "rows_at_once": rows, "accumulate": False, "byte_dots": byte_dots}
        module.add(linear.matvec, _name(rows, byte_dots), shape, export=True)
    instance = host.instantiate(module.encode(), pages)
    instance.write(0, _FILLING * _arguments(dtype)[0])
    return instance
