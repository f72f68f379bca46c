"""Tokenizers of the `tokenizers` package, trained on a small text: the oracle for ours, and inputs for its importer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = ["<|bos|>", "<|endoftext|>"]
BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False)
SINGLE_DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTE_LEVEL])


def byte_level(text: str, pre_tokenizer: Any = BYTE_LEVEL, vocab_size: int = 900) -> Tokenizer:
    """A byte-level BPE tokenizer with ids 0 and 1 as special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer


def sentence_piece(text: str, vocab_size: int = 900) -> Tokenizer:
    """A tokenizer laid out as Llama's: <unk>, <s>, </s>, 256 byte tokens, then pieces with U+2581 for a space."""
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, min_frequency=2, limit_alphabet=120)
    plain.train_from_iterator(text.splitlines(), trainer)
    trained = json.loads(plain.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    tokens = [*first, *sorted(trained["vocab"], key=trained["vocab"].get)]
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "post_processor": None, "pre_tokenizer": None,
        "added_tokens": [
            {"id": index, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for index, token in enumerate(first[:3])],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
        "decoder": None,
        "model": trained | {"vocab": {token: index for index, token in enumerate(tokens)}, "byte_fallback": True,
                            "unk_token": "<unk>", "fuse_unk": True},
    }))


def save(tokenizer: Tokenizer, folder: Path) -> int:
    """Writes tokenizer.json; the number of tokens."""
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


def edit(folder: Path, change: dict[str, Any], part: str | None = None) -> None:
    """Replaces keys of tokenizer.json, or of its object `part`."""
    path = folder / "tokenizer.json"
    value = json.loads(path.read_text())
    (value if part is None else value[part]).update(change)
    path.write_text(json.dumps(value))
