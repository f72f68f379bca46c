"""Calibration runs the real network: its last layer gives the reference's logits, its averages those of the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.reference import gpt_neox, llama
from tests.tools.checkpoint_folder import edit_config, make_checkpoint
from tests.tools.importers import llama2c_files
from tests.tools.importers.neox_folder import make_neox
from tests.tools.packed import pack_f32, plan, stored
from tinypylm.config import DType, Role, expected_tensors
from tinypylm.errors import ToolError
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools import activation_statistics
from tinypylm_tools.activation_statistics import input_squares

TEXT = "the other then that there is this; the weather then? " * 3


def llama_folder(folder: Path) -> Path:
    return shrunken(make_checkpoint(folder))


def neox_folder(folder: Path) -> Path:
    return shrunken(make_neox(folder))


def sequential_neox(folder: Path) -> Path:
    edit_config(neox_folder(folder), {"use_parallel_residual": False, "rotary_pct": 0.5})
    return folder


def shrunken(folder: Path) -> Path:
    """Weights of a size that keeps activations near 1, so that f32 and f64 can be compared."""
    weights = load_file(folder / "model.safetensors")
    save_file({name: value * np.float32(0.2) for name, value in weights.items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(("make", "reference"), [
    (llama_folder, llama), (neox_folder, gpt_neox), (sequential_neox, gpt_neox)])
def test_the_last_input_gives_the_logits_of_the_reference(
    tmp_path: Path, make, reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = pack_f32(make(tmp_path))
    source = plan(tmp_path, DType.F32).source
    ids = Tokenizer.of(model).encode(TEXT)[:40]
    hidden = activation_statistics._Network(source, 256).run(np.array(ids))
    output = stored(model, data, Role.TOK_EMBEDDINGS if model.config.tied_embeddings else Role.OUTPUT)
    np.testing.assert_allclose(hidden @ output.T, reference.logits(model, data, ids), atol=2e-4)


def test_rotary_pairs_that_are_neighbours_turn_as_such(tmp_path: Path) -> None:
    tokens = llama2c_files.scored([" ", "a", "b", " a", "ab"])
    weights = llama2c_files.random_weights(len(tokens))
    path = llama2c_files.write(tmp_path, llama2c_files.version_0(weights, True), tokens)
    model, data = pack_f32(path)
    ids = Tokenizer.of(model).encode("ab a b ab")
    hidden = activation_statistics._Network(plan(path, DType.F32).source, 256).run(np.array(ids))
    np.testing.assert_allclose(
        hidden @ stored(model, data, Role.TOK_EMBEDDINGS).T, llama.logits(model, data, ids), rtol=2e-3, atol=2e-3)


def test_the_first_average_is_that_of_the_normed_embeddings(tmp_path: Path) -> None:
    model, data = pack_f32(llama_folder(tmp_path))
    squares = input_squares(plan(tmp_path, DType.F32).source, TEXT)
    x = stored(model, data, Role.TOK_EMBEDDINGS)[Tokenizer.of(model).encode(TEXT)].astype(np.float64)
    normed = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + 1e-5) * stored(model, data, Role.ATTN_NORM, 0)
    np.testing.assert_allclose(squares[Role.WQ, 0], np.square(normed).mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize("make", [llama_folder, neox_folder])
def test_every_matrix_has_an_average_for_each_column(tmp_path: Path, make) -> None:
    source = plan(make(tmp_path), DType.F32).source
    squares = input_squares(source, TEXT)
    matrices = [spec for spec in expected_tensors(source.config) if len(spec.shape) == 2]
    for spec in matrices:
        if spec.role is not Role.TOK_EMBEDDINGS or source.config.tied_embeddings:
            assert squares[spec.role, spec.layer].shape == spec.shape[1:]


def test_windows_do_not_see_each_other(tmp_path: Path) -> None:
    source = plan(llama_folder(tmp_path), DType.F32).source
    ids = np.arange(100, 132)
    whole = activation_statistics._Network(source, 16).run(ids)
    np.testing.assert_allclose(whole[16:], activation_statistics._Network(source, 16).run(ids[16:]), atol=1e-5)


def test_an_empty_text_is_refused(tmp_path: Path) -> None:
    edit_config(llama_folder(tmp_path), {"bos_token_id": None})
    with pytest.raises(ToolError, match="calibration text is empty"):
        input_squares(plan(tmp_path, DType.F32).source, "")
