"""What the config.json of every family has in common. What is not certain is refused."""

from __future__ import annotations

from tinypylm_tools.importers.source import check_vocab_size
from tinypylm_tools.json_fields import Fields


def vocab_size(fields: Fields) -> int:
    return check_vocab_size(fields.integer("vocab_size"), fields.where)


def head_dim(fields: Fields) -> int:
    """hidden_size / num_attention_heads; a head_dim that says otherwise is refused."""
    heads, hidden = fields.integer("num_attention_heads"), fields.integer("hidden_size")
    size = hidden // max(heads, 1) if fields.get("head_dim") is None else fields.integer("head_dim")
    if heads * size != hidden:
        raise fields.unusable("head_dim", size, f"hidden_size / num_attention_heads = {hidden} / {heads}")
    return size


def rope_parameters(fields: Fields) -> Fields:
    """The object that newer exports keep rotary settings in, or that scales positions in older ones; may be empty."""
    scaling = fields.get("rope_scaling") or fields.get("rope_parameters")
    rope = fields.nested({} if scaling is None else scaling, "rope_scaling")
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        raise fields.unusable("rope_scaling", scaling, "null", "Scaled rotary positions cannot be packed.")
    return rope


def first_number(places: tuple[tuple[Fields, str], ...], default: float) -> float:
    """The first of these fields that is there."""
    return next((fields.number(name) for fields, name in places if name in fields.values), default)


def token(fields: Fields, name: str) -> int | None:
    """A token id below vocab_size; a list is accepted where it has one element."""
    value, limit = fields.get(name), fields.integer("vocab_size")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise fields.unusable(name, value, f"one token id below vocab_size = {limit}, or null",
                              f"Edit {fields.where} to name the one that counts.")
    return value
