"""Base and adapter against the materialised file, bit for bit; and the base again after detaching."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.adapters.packages import all_tensors, matrices, model_file, package
from tests.engine.models import all_logits, config, greedy, neox, random_file
from tinypylm.adapters import AdapterCode, AdapterStack, PackageFormat, parse_package
from tinypylm.adapters.compiled import Requantiser
from tinypylm.config import DType, Role
from tinypylm.engine import Engine
from tinypylm.errors import AdapterError
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import MAX_THREADS
from tinypylm_tools.adapters.materialise import materialise
from tinypylm_tools.adapters.writer import Dense, facts, seal
from tinypylm_tools.model_file import ModelFile

IDS = [3, 200, 17, 64, 101]
SHAPES = {
    "Llama": config(), "GPT-NeoX": neox(), "odd sizes": config(n_heads=3, n_kv_heads=1, head_dim=6, ffn_size=37),
    "one position": config(context_length=1, n_layers=1),
    "little room and long rows": neox(n_heads=1, head_dim=8, ffn_size=4096, context_length=1, n_layers=1),
}
CASES = [(shape, dtype) for shape in SHAPES for dtype in DType]


def loaded(data: bytes, threads: int = 1) -> Engine:
    return Engine.load(model_file(data).model, data, NativeHost(threads))


def payloads(file: ModelFile, data: bytes) -> dict[str, bytes]:
    return {tensor.name: data[tensor.offset : tensor.offset + tensor.payload_bytes] for tensor in file.model.tensors}


def in_memory(engine: Engine) -> bytes:
    return engine.instance.read(0, engine.model.file_bytes)


def attach(stack: AdapterStack, data: bytes, scale: float | None = None) -> None:
    stack.apply(stack.validate(data, scale), scale)


def tensors_for(kind: PackageFormat, file: ModelFile) -> list[tuple[Role, int | None]]:
    return matrices(file) if kind is PackageFormat.ALR1 else all_tensors(file)


def base(shape: str, dtype: DType) -> ModelFile:
    return model_file(random_file(replace(SHAPES[shape], quantization=dtype)))


@pytest.mark.parametrize("kind", list(PackageFormat))
@pytest.mark.parametrize(("shape", "dtype"), CASES)
def test_base_and_adapter_are_the_materialised_file_bit_for_bit(shape: str, dtype: DType, kind: PackageFormat) -> None:
    file = base(shape, dtype)
    data = package(file, kind, tensors_for(kind, file), rank=6)
    engine = loaded(file.data)
    attach(AdapterStack(engine), data, 0.75)
    child = model_file(materialise(file, [(parse_package(data), 0.75)], []))
    assert payloads(file, in_memory(engine)) == payloads(child, child.data)
    engine.free()


@pytest.mark.parametrize("threads", range(1, MAX_THREADS + 1))
@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("shape", ["Llama", "GPT-NeoX"])
def test_detaching_a_stack_gives_the_bits_of_the_base(shape: str, dtype: DType, threads: int) -> None:
    file = base(shape, dtype)
    engine = loaded(file.data, threads)
    before = all_logits(engine, IDS), greedy(engine, IDS, 20)
    stack = AdapterStack(engine)
    for seed, kind in enumerate([PackageFormat.ASP1, PackageFormat.ALR1, PackageFormat.ASP1]):
        attach(stack, package(file, kind, matrices(file), seed))
    engine.reset()
    assert (all_logits(engine, IDS) != before[0]).any()
    stack.detach()
    assert in_memory(engine) == file.data
    engine.reset()
    after = all_logits(engine, IDS), greedy(engine, IDS, 20)
    assert after[0].tobytes() == before[0].tobytes()
    assert after[1] == before[1]
    engine.free()


@pytest.mark.parametrize("dtype", list(DType))
def test_a_stack_is_applied_in_order_and_equals_its_materialised_file(dtype: DType) -> None:
    file = base("Llama", dtype)
    stacked = [package(file, kind, matrices(file), seed) for seed, kind in enumerate(PackageFormat)]
    engine = loaded(file.data)
    stack = AdapterStack(engine)
    for data in stacked:
        attach(stack, data)
    child = model_file(materialise(file, [(parse_package(data), None) for data in stacked], []))
    assert payloads(file, in_memory(engine)) == payloads(child, child.data)
    child_engine = loaded(child.data)
    assert all_logits(engine, IDS).tobytes() == all_logits(child_engine, IDS).tobytes()


@pytest.mark.parametrize("dtype", list(DType))
def test_a_result_that_its_type_cannot_hold_changes_nothing(dtype: DType) -> None:
    file = base("Llama", dtype)
    huge = np.zeros(file.model.tensor(Role.WQ, 1).shape, np.float32)
    huge[3, 5] = 3e38
    good = np.full(file.model.tensor(Role.WQ, 0).shape, 0.01, np.float32)
    data = seal(facts(file), [Dense(Role.WQ, 0, good), Dense(Role.WQ, 1, huge)])
    engine = loaded(file.data)
    stack = AdapterStack(engine)
    attach(stack, package(file, PackageFormat.ASP1, matrices(file)))
    changed = in_memory(engine)
    with pytest.raises(AdapterError) as refused:
        attach(stack, data, 3.0)
    assert refused.value.code is AdapterCode.RESULT_OVERFLOW
    assert in_memory(engine) == changed
    with pytest.raises(AdapterError, match="cannot hold"):
        materialise(file, [(parse_package(data), 3.0)], [])
    stack.detach()
    assert in_memory(engine) == file.data


def test_blocks_that_nothing_changes_keep_their_bytes() -> None:
    file = base("Llama", DType.Q8_0)
    delta = np.zeros(file.model.tensor(Role.WQ, 0).shape, np.float32)
    delta[2, 40] = 0.25
    engine = loaded(file.data)
    attach(AdapterStack(engine), seal(facts(file), [Dense(Role.WQ, 0, delta)]))
    now, tensor = in_memory(engine), file.model.tensor(Role.WQ, 0)
    different = [at - tensor.offset for at in range(len(now)) if now[at] != file.data[at]]
    block, scale = range(2 * 64 + 32, 2 * 64 + 64), tensor.shape[0] * tensor.shape[1] + 2 * (2 * 2 + 1)
    assert different
    assert all(at in block or at in (scale, scale + 1) for at in different)


def test_the_memory_behind_the_file_is_zero_after_an_attach() -> None:
    file = base("Llama", DType.Q4_0)
    engine = loaded(file.data)
    engine.prefill(IDS, 0)
    attach(AdapterStack(engine), package(file, PackageFormat.ADP1, all_tensors(file)))
    start, end = engine.plan.regions["k_cache"].address, engine.plan.regions["control"].address
    assert not any(engine.instance.read(start, end - start))


def test_a_block_is_kept_once_however_deep_the_stack() -> None:
    file = base("Llama", DType.Q8_0)
    engine = loaded(file.data)
    stack = AdapterStack(engine)
    for _ in range(3):
        attach(stack, package(file, PackageFormat.ALR1, [(Role.WQ, 0)]))
    kept = sum(len(records) for one in stack._kept.values() for records in one.records)
    assert kept == 64 * 64 // 32 * (4 + 32 + 2)


def test_the_second_module_is_made_at_the_first_attach(monkeypatch: pytest.MonkeyPatch) -> None:
    file = base("Llama", DType.F32)
    engine = loaded(file.data)
    stack = AdapterStack(engine)
    made: list[Engine] = []
    original = Requantiser.__init__
    monkeypatch.setattr(Requantiser, "__init__", lambda self, engine: (made.append(engine), original(self, engine))[1])
    data = package(file, PackageFormat.ASP1, matrices(file))
    stack.validate(data)
    stack.detach()
    assert made == []
    attach(stack, data)
    attach(stack, data)
    assert made == [engine]


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf"), -float("inf"), 1e39, 10**400, 1e-60])
def test_a_scale_that_makes_no_sense_is_refused(scale: float) -> None:
    file = base("Llama", DType.F32)
    stack = AdapterStack(loaded(file.data))
    with pytest.raises(AdapterError) as refused:
        stack.validate(package(file, PackageFormat.ASP1, matrices(file)), scale)
    assert refused.value.code is AdapterCode.SCALE_INVALID


def test_a_stack_over_the_budget_is_refused() -> None:
    file = model_file(random_file(config(n_layers=8, ffn_size=256)))
    stack = AdapterStack(loaded(file.data))
    big = package(file, PackageFormat.ADP1, [(Role.W_UP, layer) for layer in range(8)])
    assert len(big) > 512 * 1024
    attach(stack, big)
    with pytest.raises(AdapterError) as refused:
        stack.validate(big)
    assert refused.value.code is AdapterCode.STACK_TOO_LARGE
    stack.detach()
    stack.validate(big)
