"""A tokenizer without all 256 bytes: missing ones get tokens, of which the model says what it says on average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer as Oracle
from tokenizers import decoders, models, trainers

from tests.engine.models import HOST, all_logits
from tests.tokenizer.hugging_face import BYTE_LEVEL, save
from tests.tools.checkpoint_folder import edit_config, edit_tensors, make_checkpoint
from tests.tools.packed import pack_f32, stored
from tinypylm.config import Role
from tinypylm.engine import Engine
from tinypylm.format import TokenKind
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.detection import open_source

TEXT = "the then there that this; and the weather then?"
OTHER = "zürich 東京 \x00\x04"


def without_alphabet() -> Oracle:
    """As a trainer makes it that is not told of the alphabet: only bytes that its text has are tokens."""
    oracle = Oracle(models.BPE())
    oracle.pre_tokenizer, oracle.decoder = BYTE_LEVEL, decoders.ByteLevel()
    oracle.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=60, special_tokens=["<s>", "</s>"], show_progress=False))
    return oracle


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    size = save(without_alphabet(), make_checkpoint(tmp_path))
    edit_config(tmp_path, {"vocab_size": size, "tie_word_embeddings": request.param})
    table = load_file(tmp_path / "model.safetensors")["model.embed_tokens.weight"][:size]
    edit_tensors(tmp_path, {"model.embed_tokens.weight": table,
                            "lm_head.weight": None if request.param else np.flipud(table) * 2})
    return tmp_path


def test_ids_of_known_bytes_stay_and_any_text_comes_back(folder: Path) -> None:
    model, _ = pack_f32(folder)
    ours, theirs = Tokenizer.of(model), without_alphabet()
    assert ours.encode(TEXT, bos=False) == theirs.encode(TEXT).ids
    assert ours.decode(ours.encode(OTHER)) == OTHER.encode()


def test_each_missing_byte_stands_behind_the_vocabulary(folder: Path) -> None:
    model, _ = pack_f32(folder)
    size = without_alphabet().get_vocab_size()
    added = list(model.tokenizer.tokens)[size:]
    assert added == [bytes([value]) for value in range(256) if chr(value) not in TEXT]
    assert set(model.tokenizer.kinds[size:]) == {TokenKind.BYTE}
    assert model.config.vocab_size == size + len(added)
    assert open_source(folder).found.endswith(f"; {len(added)} bytes without a token get one each")


def test_an_added_token_has_the_mean_of_all_rows(folder: Path) -> None:
    model, data = pack_f32(folder)
    size = without_alphabet().get_vocab_size()
    for tensor in model.tensors:
        if tensor.role in (Role.TOK_EMBEDDINGS, Role.OUTPUT):
            table = stored(model, data, tensor.role)
            np.testing.assert_allclose(table[size:] - table[:size].mean(axis=0), 0, atol=1e-6)


def test_an_added_token_is_never_the_best_nor_likelier_than_one_in_the_vocabulary(folder: Path) -> None:
    model, data = pack_f32(folder)
    size = without_alphabet().get_vocab_size()
    logits = all_logits(Engine.load(model, data, HOST), Tokenizer.of(model).encode(TEXT)).astype(np.float64)
    means = logits[:, :size].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(logits[:, size:] - means, 0, atol=1e-4)
    assert (logits.argmax(axis=1) < size).all()
    shares = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    assert (shares[:, size:] <= 1 / size).all()


def test_a_text_may_prune_such_a_vocabulary(folder: Path) -> None:
    model, data = pack_f32(folder, pruning_text="the")
    assert model.config.vocab_size < pack_f32(folder)[0].config.vocab_size
    tokenizer = Tokenizer.of(model)
    assert tokenizer.decode(tokenizer.encode(OTHER)) == OTHER.encode()
    added = [token for token, text in enumerate(model.tokenizer.tokens) if text == b"\x04"]
    table = stored(*pack_f32(folder), Role.TOK_EMBEDDINGS)
    np.testing.assert_allclose(stored(model, data, Role.TOK_EMBEDDINGS)[added[0]], table[-1], atol=1e-6)
