"""Small real models that say what a test wants them to say: a Llama whose layers add nothing, so that the last token
alone decides the next one (logits = output @ embedding[token])."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tinypylm.canonical import JsonObject
from tinypylm.config import DType, Family, ModelConfig, Role, expected_tensors
from tinypylm.format import Vocabulary
from tinypylm.format.vocabulary import PreTokenizer, TokenKind
from tinypylm_tools.slm_writer import Payload, seal

BOS, EOS = 256, 257
HIDDEN = 64


CHAT = {"system_prefix": "S:", "system_suffix": ".", "user_prefix": "\nU:", "assistant_prefix": "\nA>"}
"""Prefixes for `scripted_model(ANSWER, chat=CHAT)`, which answers everything with "helo" and goes on as the user."""
ANSWER = b">helo\nU:xyz"


def scripted_model(
    script: bytes, *, context_length: int = 64, ends: bool = True, chat: dict[str, str] | None = None
) -> bytes:
    """A `.slm` file with byte tokens: after script[i] comes script[i + 1], after the last byte the end token.

    No byte may occur twice in the script. Where `ends` is false the script starts again instead. `chat` goes into its
    metadata.
    """
    assert len(set(script)) == len(script)
    following = dict(pairwise(script)) | {script[-1]: EOS if ends else script[0]}
    signs = np.random.default_rng(3).choice(np.array([-1, 1], np.float32), (259, HIDDEN))
    output = np.zeros_like(signs)
    for token, successor in following.items():
        output[successor] += signs[token]
    return sealed(config(context_length), {Role.TOK_EMBEDDINGS: signs, Role.OUTPUT: output}, chat=chat)


def bigram_model(logits: np.ndarray, context_length: int = 64, chat: dict[str, str] | None = None) -> bytes:
    """A `.slm` file whose raw logits after token t are logits[t] (f32[259, 259]), up to f32 rounding."""
    one_hot = np.zeros((259, 288), np.float32)
    one_hot[:, :259] = np.eye(259) * np.sqrt(288)
    output = np.zeros((259, 288), np.float32)
    output[:, :259] = logits.T / np.sqrt(288)
    return sealed(config(context_length, hidden=288), {Role.TOK_EMBEDDINGS: one_hot, Role.OUTPUT: output}, chat=chat)


def config(context_length: int, hidden: int = HIDDEN) -> ModelConfig:
    return ModelConfig(
        family=Family.LLAMA, quantization=DType.F32, tied_embeddings=False, parallel_residual=False,
        interleaved_rotary=False, gelu_tanh=False, vocab_size=259, hidden_size=hidden, n_layers=1, n_heads=2,
        n_kv_heads=1, head_dim=hidden // 2, ffn_size=32, context_length=context_length, rotary_dim=hidden // 2,
        rope_theta=10000.0, norm_epsilon=1e-6, bos_id=BOS, eos_id=EOS,
    )


def token_model(tokens: list[bytes], name: str, chat: dict[str, str] | None = None) -> bytes:
    """A `.slm` file called `name` that continues an "a" by these tokens, one after the other, and then ends."""
    said = range(EOS + 2, EOS + 2 + len(tokens))
    following = dict(pairwise([ord("a"), *said, EOS]))
    signs = np.random.default_rng(5).choice(np.array([-1, 1], np.float32), (said.stop, HIDDEN))
    output = np.zeros_like(signs)
    for token, successor in following.items():
        output[successor] += signs[token]
    texts = [*(bytes([byte]) for byte in range(256)), b"<bos>", b"<eos>", b"<pad>", *tokens]
    kinds = bytes([TokenKind.BYTE]) * 256 + bytes([TokenKind.SPECIAL]) * 3 + bytes(len(tokens))
    vocabulary = Vocabulary(PreTokenizer.NONE, texts, kinds, array("I"))
    tensors = {Role.TOK_EMBEDDINGS: signs, Role.OUTPUT: output}
    return sealed(replace(config(64), vocab_size=said.stop), tensors, vocabulary, name, chat)


def sealed(
    model_config: ModelConfig, tensors: dict[Role, np.ndarray], vocabulary: Vocabulary | None = None,
    name: str = "scripted", chat: dict[str, str] | None = None,
) -> bytes:
    """The file with these tensors; norms are ones, all other tensors zeros."""
    payloads = {}
    for spec in expected_tensors(model_config):
        fill = np.ones if spec.role in (Role.FINAL_NORM, Role.ATTN_NORM, Role.MLP_NORM) else np.zeros
        values = tensors.get(spec.role, fill(spec.shape, np.float32)) if spec.layer is None else fill(spec.shape)
        payloads[spec.role, spec.layer] = Payload(DType.F32, values.astype("<f4").tobytes())
    metadata: JsonObject = {"name": name} if chat is None else {"name": name, "chat": {**chat}}
    return seal(model_config, payloads, vocabulary, metadata)
