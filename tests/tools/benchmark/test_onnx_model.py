"""A shape as ONNX: what ONNX Runtime computes with it, and what its page asks of the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference import llama
from tinypylm.config import DType
from tinypylm_tools.bench_models import Shape, random_model
from tinypylm_tools.benchmark.onnx_model import write_onnx
from tinypylm_tools.model_file import ModelFile, open_model

SHAPE = Shape(hidden_size=96, n_layers=2, n_heads=2, n_kv_heads=1, ffn_size=64, vocab_size=300, context_length=32)
IDS = [256, 79, 110, 99, 101, 32, 117, 112]


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    path = tmp_path / "shape.slm"
    path.write_bytes(random_model(SHAPE, DType.Q8_0))
    return open_model(path)


@pytest.fixture
def folder(file: ModelFile, tmp_path: Path) -> Path:
    (tmp_path / "onnx-model").mkdir()
    write_onnx(tmp_path / "onnx-model", file)
    return tmp_path / "onnx-model"


def test_the_folder_has_what_transformers_js_looks_for(folder: Path) -> None:
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "config.json", "generation_config.json", "onnx/model_quantized.onnx"}
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["num_hidden_layers"], config["num_key_value_heads"]) == ("llama", 2, 1)


def test_onnx_runtime_computes_the_reference_s_logits(file: ModelFile, folder: Path) -> None:
    """8-bit activations and one scale for a column leave an error of some percent, and the same best token."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(folder / "onnx" / "model_quantized.onnx")
    nothing = np.zeros((1, SHAPE.n_kv_heads, 0, SHAPE.hidden_size // SHAPE.n_heads), np.float32)
    names = [value.name for value in session.get_inputs() if value.name.startswith("past_key_values.")]
    before = computed(session, IDS[:-1], 0, dict.fromkeys(names, nothing))
    after = computed(session, IDS[-1:], 7, {name: before[name.replace("past_key_values", "present")] for name in names})
    expected = llama.logits(file.model, file.data, IDS)
    for found, wanted in ((before["logits"], expected[-2]), (after["logits"], expected[-1])):
        assert found.shape == (1, 1, SHAPE.vocab_size)
        assert np.corrcoef(found.reshape(-1), wanted)[0, 1] > 0.998
        assert found.argmax() == wanted.argmax()


def computed(session: Any, ids: list[int], position: int, past: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output by its name."""
    mask = np.ones((1, position + len(ids)), np.int64)
    names = [value.name for value in session.get_outputs()]
    values = session.run(names, {"input_ids": np.array([ids], np.int64), "attention_mask": mask, **past})
    return dict(zip(names, values, strict=True))
