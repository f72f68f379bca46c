"""Files of llama2.c, written as its export.py and tokenizer.py write them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, LENGTH = 32, 48, 2, 4, 2, 24
SHAPES = {
    "attention_norm": (DIM,), "wq": (DIM, DIM), "wk": (DIM // 2, DIM), "wv": (DIM // 2, DIM), "wo": (DIM, DIM),
    "ffn_norm": (DIM,), "w1": (HIDDEN, DIM), "w2": (DIM, HIDDEN), "w3": (HIDDEN, DIM),
}
NORMS = ("attention_norm", "ffn_norm", "norm")
Weights = dict[str, list[NDArray[np.float32]]]


def random_weights(vocab_size: int) -> Weights:
    """Per name the tensors of all layers; global tensors alone in their list."""
    rng = np.random.default_rng(0)
    shapes = SHAPES | {"norm": (DIM,), "tok_embeddings": (vocab_size, DIM), "output": (vocab_size, DIM)}
    counts = {"norm": 1, "tok_embeddings": 1, "output": 1}
    return {name: [rng.standard_normal(shape).astype(np.float32) for _ in range(counts.get(name, LAYERS))]
            for name, shape in shapes.items()}


def numbers(vocab_size: int) -> tuple[int, ...]:
    return DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, vocab_size, LENGTH


def version_0(weights: Weights, shared: bool) -> bytes:
    """`legacy_export`: a negative vocabulary means an output of its own; angles stand in front of it."""
    vocab_size = len(weights["tok_embeddings"][0])
    order = ("tok_embeddings", "attention_norm", "wq", "wk", "wv", "wo", "ffn_norm", "w1", "w2", "w3", "norm")
    angles = np.outer(np.arange(LENGTH), 10_000.0 ** -(np.arange(0, 8, 2) / 8)).astype("<f4")
    parts = [tensor.tobytes() for name in order for tensor in weights[name]]
    parts += [np.cos(angles).tobytes(), np.sin(angles).tobytes()]
    parts += [] if shared else [weights["output"][0].tobytes()]
    return struct.pack("<7i", *numbers(vocab_size if shared else -vocab_size)) + b"".join(parts)


def version_1(weights: Weights, shared: bool) -> bytes:
    """`version1_export`"""
    tensors = [tensor for name in _new_order(shared) for tensor in weights[name]]
    return _new_header(1, weights, struct.pack("<B", shared)) + b"".join(tensor.tobytes() for tensor in tensors)


def version_2(weights: Weights, shared: bool, group_size: int) -> bytes:
    """`version2_export`"""
    parts = []
    for name in _new_order(shared):
        for tensor in weights[name]:
            if name in NORMS:
                parts.append(tensor.tobytes())
            else:
                codes, scales = quantised(tensor, group_size)
                parts += [codes.tobytes(), scales.tobytes()]
    return _new_header(2, weights, struct.pack("<Bi", shared, group_size)) + b"".join(parts)


def quantised(tensor: NDArray[np.float32], group_size: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`quantize_q80`: scale = max_abs / 127 of each group of the flattened tensor."""
    groups = tensor.reshape(-1, group_size)
    scales = np.abs(groups).max(axis=1) / np.float32(127)
    return np.rint(groups / scales[:, None]).astype(np.int8), scales.astype("<f4")


def tokenizer_bin(tokens: list[tuple[str, float]]) -> bytes:
    encoded = [(text.encode(), score) for text, score in tokens]
    longest = max(len(text) for text, _ in encoded)
    entries = (struct.pack("<fI", score, len(text)) + text for text, score in encoded)
    return struct.pack("<I", longest) + b"".join(entries)


def scored(pieces: list[str]) -> list[tuple[str, float]]:
    """Specials, bytes, then pieces in the order in which a SentencePiece model learned them."""
    first = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{value:02X}>" for value in range(256))]
    return [*((text, 0.0) for text in first), *((text, -float(rank)) for rank, text in enumerate(pieces))]


def encode(text: str, tokens: list[tuple[str, float]]) -> list[int]:
    """run.c's `encode`, without begin and end: join the best-scoring neighbours until none joins."""
    ids = {piece: token for token, (piece, _) in enumerate(tokens)}
    found = [ids[" "]] if text else []
    for character in text:
        found += [ids[character]] if character in ids else [byte + 3 for byte in character.encode()]
    while True:
        best = None
        for at in range(len(found) - 1):
            joined = ids.get(tokens[found[at]][0] + tokens[found[at + 1]][0])
            if joined is not None and (best is None or tokens[joined][1] > best[0]):
                best = tokens[joined][1], at, joined
        if best is None:
            return found
        found[best[1] : best[1] + 2] = [best[2]]


def write(folder: Path, model: bytes, tokens: list[tuple[str, float]]) -> Path:
    (folder / "model.bin").write_bytes(model)
    (folder / "tokenizer.bin").write_bytes(tokenizer_bin(tokens))
    return folder / "model.bin"


def _new_order(shared: bool) -> list[str]:
    order = ["attention_norm", "ffn_norm", "norm", "tok_embeddings", "wq", "wk", "wv", "wo", "w1", "w2", "w3"]
    return order if shared else [*order, "output"]


def _new_header(version: int, weights: Weights, rest: bytes) -> bytes:
    vocab_size = len(weights["tok_embeddings"][0])
    return (struct.pack("<Ii7i", 0x616B3432, version, *numbers(vocab_size)) + rest).ljust(256, b"\0")
