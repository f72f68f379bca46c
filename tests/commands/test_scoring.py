"""Bits per byte: by hand on a small model, and what quantisation costs on text that no model was trained on."""

from pathlib import Path

import numpy as np
import pytest

from tests.session.scripted_model import BOS, EOS, bigram_model
from tinypylm_tools.scoring import bits_per_byte, logit_rows, open_engine

ROOT = Path(__file__).resolve().parents[2]


def test_bits_per_byte_is_the_sum_over_a_document_with_its_ends(tmp_path):
    table = np.random.default_rng(5).normal(0, 3, (259, 259)).astype(np.float32)
    path = tmp_path / "bigram.slm"
    path.write_bytes(bigram_model(table))
    log_p = table - np.logaddexp.reduce(table.astype(np.float64), axis=1, keepdims=True)
    documents = ["abc", "é!"]
    steps = [step for text in documents for step in zip([BOS, *text.encode()], [*text.encode(), EOS], strict=True)]
    expected = -sum(log_p[before, after] for before, after in steps) / np.log(2) / 6
    assert bits_per_byte(path, documents) == pytest.approx(expected, abs=1e-5)


def test_a_document_is_cut_to_the_context(tmp_path):
    path = tmp_path / "bigram.slm"
    path.write_bytes(bigram_model(np.zeros((259, 259), np.float32), context_length=10))
    assert bits_per_byte(path, ["x" * 50]) == pytest.approx(np.log2(259), abs=1e-6)


def test_rows_do_not_depend_on_what_ran_before():
    engine, tokenizer = open_engine(ROOT / "models" / "storyteller-2m-q8_0.slm")
    ids = tokenizer.encode("Once upon a time")
    first = [row.tobytes() for row in logit_rows(engine, ids)]
    list(logit_rows(engine, ids[::-1]))
    assert [row.tobytes() for row in logit_rows(engine, ids)] == first


def test_quantised_models_lose_little_on_held_out_text():
    documents = (ROOT / "tests" / "data" / "heldout.txt").read_text(encoding="utf-8").split("\n\n")
    f32, q8_0, q4_0 = (
        bits_per_byte(ROOT / "models" / f"storyteller-2m-{name}.slm", documents) for name in ("f32", "q8_0", "q4_0"))
    assert f32 < 1.0
    assert q8_0 == pytest.approx(f32, rel=0.005)
    assert q4_0 == pytest.approx(f32, rel=0.05)
