"""Digests of what a model file is, apart from its weights: what parents, children and adapters must have in common."""

from __future__ import annotations

import hashlib
import struct
from math import prod

from tinypylm import canonical
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.format import Model
from tinypylm.format.header import VERSION
from tinypylm.source import FileBytes, pieces, source_of

_NO_TOKEN = 0xFFFF_FFFF


def dimensions(model: Model) -> JsonObject:
    """The numbers of the header that shape the network; floats as the bits of their f32."""
    config = model.config
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size, "n_layers": config.n_layers,
        "n_heads": config.n_heads, "n_kv_heads": config.n_kv_heads, "head_dim": config.head_dim,
        "ffn_size": config.ffn_size, "context_length": config.context_length, "rotary_dim": config.rotary_dim,
        "rope_theta_bits": f32_bits(config.rope_theta), "norm_epsilon_bits": f32_bits(config.norm_epsilon),
    }


def f32_bits(value: float) -> str:
    """The 8 hexadecimal digits of an f32, most significant first."""
    return struct.pack(">f", value).hex()


def f32_of_bits(digits: str) -> float:
    """The f32 of these digits."""
    value: float = struct.unpack(">f", bytes.fromhex(digits))[0]
    return value


def layout_checksum(model: Model) -> str:
    """SHA-256 over header dimensions, flags and the tensor table without offsets and checksums."""
    config = model.config
    flags: JsonObject = {
        "tied_embeddings": config.tied_embeddings, "parallel_residual": config.parallel_residual,
        "interleaved_rotary": config.interleaved_rotary, "gelu_tanh": config.gelu_tanh,
    }
    tensors: list[JsonValue] = [
        [int(tensor.role), int(tensor.dtype), -1 if tensor.layer is None else tensor.layer, *tensor.shape]
        for tensor in model.tensors]
    layout: JsonObject = {
        "family": config.family.name.lower(), "dimensions": dimensions(model), "flags": flags, "tensors": tensors}
    return hashlib.sha256(b"slm/layout/v1\n" + canonical.dumps(layout)).hexdigest()


def tokenizer_checksum(model: Model, data: FileBytes) -> str:
    """SHA-256 over vocab_size, bos and eos as u32 (no token is 2^32 - 1) and the tokenizer section's bytes."""
    config, header = model.config, model.header
    ids = (_NO_TOKEN if token is None else token for token in (config.bos_id, config.eos_id))
    digest = hashlib.sha256(b"slm/tokenizer/v1\n" + struct.pack("<III", config.vocab_size, *ids))
    digest.update(source_of(data)[header.tokenizer_offset : header.tokenizer_end])
    return digest.hexdigest()


def tensor_checksum(model: Model, data: FileBytes) -> str:
    """SHA-256 over all payloads in file order: two files with the same weights have the same."""
    digest, view = hashlib.sha256(b"slm/tensors/v1\n"), source_of(data)
    for tensor in model.tensors:
        for piece in pieces(view, tensor.offset, tensor.offset + tensor.payload_bytes):
            digest.update(piece)
    return digest.hexdigest()


def contract(model: Model, data: FileBytes) -> JsonObject:
    """What a compatibility report binds: everything that parents and child must have in common."""
    return {
        "format_version": VERSION,
        "family": model.config.family.name.lower(),
        "quantization": model.config.quantization.label,
        "output_head": "tied" if model.config.tied_embeddings else "separate",
        "parameter_count": sum(prod(tensor.shape) for tensor in model.tensors),
        "dimensions": dimensions(model),
        "layout_checksum": layout_checksum(model),
        "tokenizer_checksum": tokenizer_checksum(model, data),
    }
