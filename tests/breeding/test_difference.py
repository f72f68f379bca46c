"""`tinypylm diff` against NumPy's own norms, and on models that cannot be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.breeding.families import LLAMA, related, relative
from tinypylm.config import DType, Role
from tinypylm.format import parse
from tinypylm_tools.cli import main
from tinypylm_tools.quantise import F32, decode


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def weights_of(data: bytes, role: Role, layer: int | None) -> F32:
    tensor = parse(data).tensor(role, layer)
    payload = data[tensor.offset : tensor.offset + tensor.payload_bytes]
    return decode(payload, tensor.dtype, tensor.shape).reshape(-1).astype(np.float64)


def test_figures_are_those_of_numpy_also_between_types(tmp_path: Path) -> None:
    one, other = related("neox", DType.F32, 1), related("neox", DType.Q4_0, 2)
    result = run("diff", written(tmp_path, "a.slm", one), written(tmp_path, "b.slm", other), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    row = next(row for row in report["tensors"] if row["tensor"] == "w_up of layer 1")
    a, b = (weights_of(data, Role.W_UP, 1) for data in (one, other))
    assert row["elements"] == a.size
    assert row["equal"] == np.count_nonzero(a == b)
    assert row["rms"] == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert row["largest"] == np.abs(a - b).max()
    assert row["relative"] == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(a))
    assert row["sign_agreement"] == np.mean(np.sign(a) == np.sign(b))
    assert row["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert report["all"]["elements"] == sum(row["elements"] for row in report["tensors"])


def test_a_model_is_equal_to_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "a.slm", related("llama", DType.Q8_0, 1))
    result = run("diff", path, path)
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1].split()
    assert last[0] == "all"
    assert last[2:] == ["100.0%", "0", "0", "0.0000", "100.0%", "1.000000"]


def test_models_of_other_shapes_are_refused_with_the_first_tensor_that_differs(tmp_path: Path) -> None:
    one = written(tmp_path, "a.slm", related("llama", DType.F32, 1))
    wider = written(tmp_path, "b.slm", relative(replace(LLAMA, ffn_size=96), 1))
    deeper = written(tmp_path, "c.slm", relative(replace(LLAMA, n_layers=3), 1))
    result = run("diff", one, wider)
    assert result.exit_code == 1
    assert "w_gate of layer 0 of shape 96 x 32 stands in B where A has w_gate of layer 0 of shape 64" in result.output
    assert "attn_norm of layer 2 of shape 32 stands in B where A has the end" in run("diff", one, deeper).output
