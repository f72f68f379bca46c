"""`compile = true`: the same loss and gradients, from compiled code."""

from __future__ import annotations

import shutil

import pytest

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

import tomllib
from dataclasses import replace
from pathlib import Path

from tests.tools.training.tiny import NEOX, TRAINING, description, make_places
from tinypylm_tools.training.batches import Batch, make_batch
from tinypylm_tools.training.description import Shape, read_description
from tinypylm_tools.training.measure import Machine, total_loss
from tinypylm_tools.training.network import initial_weights


@pytest.mark.slow
@pytest.mark.timeout(900)  # compiling takes a minute of a processor that is free
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own parts among each other
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler, which compile = true needs")
@pytest.mark.parametrize(("bf16", "within"), [(False, 1e-3), (True, 3e-2)])
def test_a_compiled_step_is_a_plain_one(tmp_path: Path, bf16: bool, within: float) -> None:
    """GPT-NeoX, half of whose numbers are turned; batches of two shapes. In bf16 its attention is our own."""
    training = TRAINING.replace("dropout = 0.1\n", "")
    plain = read_description(make_places(tmp_path, description(NEOX, training)).description)
    compiled = replace(plain, training=replace(plain.training, compile=True))
    config = Shape(**tomllib.loads(NEOX.replace("layers = 2", "layers = 1"))).config()
    found = []
    for described in (plain, compiled):
        weights = {key: weight.requires_grad_() for key, weight in initial_weights(config, 3).items()}
        loss = total_loss(config, described, Machine(torch.device("cpu"), bf16))
        losses = [loss(weights, batch(rows, length)) for rows, length in ((2, 40), (3, 20))]
        sum(losses).backward()
        found.append([float(one.detach()) for one in losses])
        found[-1] += [float(weight.grad.norm()) for weight in weights.values()]
    assert found[1] == pytest.approx(found[0], rel=within)


def batch(rows: int, length: int) -> Batch:
    generator = torch.Generator().manual_seed(rows)
    return make_batch(list(torch.randint(0, 300, (rows, length), generator=generator).numpy().astype("uint32")))
