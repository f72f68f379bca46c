"""The receipt of a generation: all that it came from, and what came. No text, no time, and nothing of the machine."""

from __future__ import annotations

from dataclasses import fields

from tinypylm.options import SamplingOptions
from tinypylm.provenance.admission import head
from tinypylm.provenance.schema import DECIMAL, F32_BITS, SHA256, U64, Rule, choice, integer, list_of, record, string

MAX_TOKENS = 1_048_576
_TOKENS = integer(0, 2**31 - 1)
_BY_TYPE: dict[type, Rule] = {float: DECIMAL, int: U64, tuple: list_of(string(1, 256), 0, 16)}

REPLAY_RECEIPT = record({
    **head("replay-receipt"),
    "runtime_sha256": SHA256, "model_sha256": SHA256,
    "adapters": list_of(record({"sha256": SHA256, "scale_bits": F32_BITS})),
    "kv_cache": choice("f32", "f16"),
    "prompt_ids": list_of(_TOKENS, 1, MAX_TOKENS),
    "options": record({field.name: _BY_TYPE[type(field.default)] for field in fields(SamplingOptions)}),
    "ids": list_of(_TOKENS, 0, MAX_TOKENS),
    "finish_reason": choice("stop", "length", "context", "cancelled"),
    "logits_sha256": list_of(SHA256, 0, MAX_TOKENS),
})
"""`adapters` in the order in which they were applied; `logits_sha256` of the f32 logits behind ids[0], ids[16], .."""
