"""Where everything of a loaded model lies in its linear memory, computed from the header alone.

The model file stands at address 0, so a tensor's address is its offset in the file; the regions behind it follow in
the order below, each 64-byte aligned. Nothing is allocated here, and nothing moves after loading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tinypylm.config import Family, ModelConfig
from tinypylm.errors import ErrorCode, OptionError

CHUNK_TOKENS = 16
"""Prompt tokens that go through the network in one call; scratch vectors exist this many times."""

MAX_THREADS = 4
"""Each has a copy of some regions, so the plan does not depend on how many run."""

PRIVATE_REGIONS = ("normed", "codes", "code_scale", "cosines", "sines")
"""Scratch that each thread fills for itself: a copy for every thread, one after the other."""

SEGMENT_LOGITS = 512
"""Logits that are summed up as one, for what the whole vocabulary's sum and its best tokens are found from."""

MAX_CANDIDATES = 1024
CANDIDATE_HEADER_BYTES = 16
ENGINE_MEMORY_BUDGET_BYTES = 268_435_456
"""A model whose plan needs more than this is refused before a byte of weights is fetched."""


class KVCache(StrEnum):
    """How keys and values are kept. f16 halves the cache; it needs heads of whole vectors, 8 elements."""

    F32 = "f32"
    F16 = "f16"

    @property
    def element_bytes(self) -> int:
        return 4 if self is KVCache.F32 else 2


PAGE_BYTES = 65_536
ALIGNMENT_BYTES = 64
_CONTROL_BYTES = 256
CODE_BLOCK_BYTES = 80
"""Of 32 activations: what products of bytes read of them, which is more than their i16 codes."""



def aligned(size: int, unit: int = ALIGNMENT_BYTES) -> int:
    """The smallest multiple of `unit` that is at least `size`."""
    return -(-size // unit) * unit


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes [address, address + size_bytes) of linear memory; `stride_bytes` is the distance between tokens' rows."""

    address: int
    size_bytes: int
    stride_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Regions by name, and the size of the memory that holds exactly them."""

    regions: dict[str, Region]
    used_bytes: int
    kv_cache: KVCache

    @property
    def pages(self) -> int:
        return -(-self.used_bytes // PAGE_BYTES)

    @property
    def total_bytes(self) -> int:
        """Size of the linear memory: `used_bytes` rounded up to whole pages."""
        return self.pages * PAGE_BYTES

    @property
    def kv_cache_bytes(self) -> int:
        return self.regions["k_cache"].size_bytes + self.regions["v_cache"].size_bytes

    @property
    def scratch_arena_bytes(self) -> int:
        """Everything that is neither file nor KV cache."""
        return self.used_bytes - self.regions["file"].size_bytes - self.kv_cache_bytes

    def scratch_peak_bytes(self, tokens: int, threads: int) -> int:
        """Scratch that passes of at most `tokens` tokens on `threads` threads have written to, whole rows."""
        rows = dict.fromkeys(self.regions, tokens) | dict.fromkeys(PRIVATE_REGIONS, threads * tokens)
        rows["scores"] = threads
        scratch = self.regions.keys() - {"file", "k_cache", "v_cache"}
        return sum(min(self.regions[name].size_bytes, rows[name] * self.regions[name].stride_bytes) for name in scratch)


def padded_head_dim(config: ModelConfig) -> int:
    """Floats between two positions of a head in the KV cache: head_dim, up to whole vectors."""
    return aligned(config.head_dim, 4)


def padded_context(config: ModelConfig) -> int:
    """Positions that the KV cache has room for: the context, up to the four that attention scores at once."""
    return aligned(config.context_length, 4)


def plan_memory(config: ModelConfig, file_bytes: int, kv_cache: KVCache = KVCache.F32) -> MemoryPlan:
    """The regions of a model of this shape whose file has `file_bytes` bytes. Raises OptionError for an f16 cache."""
    cache_bytes = config.n_layers * cache_layer_bytes(config, kv_cache)
    sizes = {"file": (file_bytes, 1), "k_cache": (cache_bytes, 1), "v_cache": (cache_bytes, 1)}
    sizes |= {name: (4 * floats, _scratch_rows(name)) for name, floats in _scratch_floats(config).items()}
    sizes["scores"] = 4 * padded_context(config), MAX_THREADS
    sizes |= {name: (size, 1) for name, size in _sampling_bytes(config).items()}
    regions: dict[str, Region] = {}
    address = 0
    for name, (row_bytes, rows) in sizes.items():
        stride = aligned(row_bytes)
        regions[name] = Region(address, stride * rows, stride)
        address += stride * rows
    return MemoryPlan(regions, address, kv_cache)


def _scratch_rows(region: str) -> int:
    return CHUNK_TOKENS * (MAX_THREADS if region in PRIVATE_REGIONS else 1)


def cache_layer_bytes(config: ModelConfig, kv_cache: KVCache) -> int:
    """Keys, or values, of one layer: [n_kv_heads, context, head_dim], the last two padded. Raises OptionError."""
    if kv_cache is KVCache.F16 and config.head_dim % 8:
        raise OptionError(
            ErrorCode.OPTION_OUT_OF_RANGE, f"kv_cache is f16, which needs a head_dim that 8 divides; this model's is "
            f"{config.head_dim}. Load it with f32", {"option": "kv_cache", "found": "f16", "expected": "f32"})
    return kv_cache.element_bytes * config.n_kv_heads * padded_context(config) * padded_head_dim(config)


def _scratch_floats(config: ModelConfig) -> dict[str, int]:
    """ForwardScratch: 4-byte elements that one token needs of each intermediate."""
    queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    widest = max(config.hidden_size, queries, config.ffn_size)
    gate = {"gate": config.ffn_size} if config.family is Family.LLAMA else {}
    return {
        "tokens": 1, "residual": config.hidden_size, "normed": config.hidden_size,
        "query": queries, "key": keys, "value": keys,
        "rotated": config.n_heads * padded_head_dim(config), "attended": queries,
        **gate, "up": config.ffn_size,
        "codes": aligned(widest, 32) // 32 * CODE_BLOCK_BYTES // 4, "code_scale": 1,
        "cosines": config.rotary_dim // 2, "sines": config.rotary_dim // 2,
    }


def segment_count(vocab_size: int) -> int:
    """Segments of the logits, the last one perhaps shorter."""
    return -(-vocab_size // SEGMENT_LOGITS)


def sums_offset(vocab_size: int) -> int:
    """Where the segments' sums begin behind their largest logits, in bytes: both are f32, up to whole vectors."""
    return 4 * aligned(segment_count(vocab_size), 4)


def _sampling_bytes(config: ModelConfig) -> dict[str, int]:
    return {
        "logits": 4 * aligned(config.vocab_size, 4),
        "segments": 2 * sums_offset(config.vocab_size),
        "seen": aligned(config.vocab_size, 4), "candidates": CANDIDATE_HEADER_BYTES + 12 * MAX_CANDIDATES,
        "control": _CONTROL_BYTES,
    }
