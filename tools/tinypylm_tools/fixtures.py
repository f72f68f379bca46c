"""The small models that tests run on: `python -m tinypylm_tools.fixtures models/fixtures`, the same bytes everywhere.

Their weights say nothing; they are Llama models with grouped heads, two layers, and ids that are easy to check by hand.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinypylm.config import DType, Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.format import PreTokenizer, TokenKind, Vocabulary, tensor_name
from tinypylm_tools.quantise import F32, encode
from tinypylm_tools.slm_writer import Payload, TensorKey, seal, stored_dtype, write_atomically

BYTE_CONFIG = ModelConfig(
    Family.LLAMA, DType.F32, tied_embeddings=True, parallel_residual=False, interleaved_rotary=False, gelu_tanh=False,
    vocab_size=259, hidden_size=64, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, ffn_size=96, context_length=64,
    rotary_dim=16, rope_theta=10000.0, norm_epsilon=9.999999747378752e-06, bos_id=256, eos_id=257)

_GAMMA = np.uint64(0x9E37_79B9_7F4A_7C15)
_NORM_ROLES = (Role.ATTN_NORM, Role.MLP_NORM, Role.FINAL_NORM)


def fixtures() -> dict[str, bytes]:
    """File name to bytes."""
    bpe = replace(BYTE_CONFIG, vocab_size=262)
    return {
        "tiny-test-model.slm": tiny_model(BYTE_CONFIG, None),
        "tiny-test-model-q8_0.slm": tiny_model(replace(BYTE_CONFIG, quantization=DType.Q8_0), None),
        "tiny-test-model-q4_0.slm": tiny_model(replace(BYTE_CONFIG, quantization=DType.Q4_0), None),
        "tiny-test-model-bpe.slm": tiny_model(bpe, three_merges()),
    }


def tiny_model(config: ModelConfig, vocabulary: Vocabulary | None) -> bytes:
    """A sealed file of this shape with the weights of `weights`."""
    metadata = {
        "name": "Tiny test model", "description": "Generated numbers, for tests. It knows nothing.", "licence": "MIT",
        "source": "tinypylm_tools.fixtures",
    }
    return seal(config, payloads(config), vocabulary, {**metadata})


def payloads(config: ModelConfig) -> dict[TensorKey, Payload]:
    """Every tensor of the configuration, encoded as the configuration's quantization says."""
    encoded = {}
    for index, spec in enumerate(expected_tensors(config)):
        dtype = stored_dtype(spec.shape, config.quantization)
        name = tensor_name(spec.role, spec.layer)
        encoded[spec.role, spec.layer] = Payload(dtype, encode(weights(index, spec), dtype, name))
    return encoded


def weights(index: int, spec: TensorSpec) -> F32:
    """Weight j of tensor `index`: (u >> 40) * 2^-24 - 1/2, u the SplitMix64 number j of the seed index * 2^32.

    So they lie in [-1/2, 1/2), each exact in f32. The weights of a norm are 1 + that / 4.
    """
    count = int(np.prod(spec.shape))
    values = (_split_mix(np.uint64(index << 32), count) >> np.uint64(40)).astype(np.float32) * 2.0**-24 - 0.5
    scaled = 1 + values / 4 if spec.role in _NORM_ROLES else values
    return scaled.astype(np.float32).reshape(spec.shape)


def _split_mix(seed: np.uint64, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Numbers 0..count-1 of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = seed + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * _GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return z ^ (z >> np.uint64(31))


def three_merges() -> Vocabulary:
    """262 tokens: the bytes, bos 256, eos 257, pad 258, and `th`, `he`, `the`, of which `the` is th + e."""
    letters = {letter: ord(letter) for letter in "the"}
    tokens = [bytes([value]) for value in range(256)] + [b"<bos>", b"<eos>", b"<pad>", b"th", b"he", b"the"]
    kinds = bytes([TokenKind.BYTE] * 256 + [TokenKind.SPECIAL] * 3 + [TokenKind.NORMAL] * 3)
    merges = array("I", [letters["t"], letters["h"], 259, letters["h"], letters["e"], 260, 259, letters["e"], 261])
    return Vocabulary(PreTokenizer.NONE, tuple(tokens), kinds, merges)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in fixtures().items():
        write_atomically(folder / name, data)


if __name__ == "__main__":
    main()
