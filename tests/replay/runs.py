"""One generation on a fixture, recorded here: what the golden receipts and every browser have to give."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.adapters.packages import matrices, model_file, package
from tinypylm.adapters import PackageFormat
from tinypylm.assembly import assemble
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache
from tinypylm.options import SamplingOptions
from tinypylm.receipts import Recorder
from tinypylm.session import Session

FIXTURES = Path(__file__).resolve().parents[2] / "models" / "fixtures"
MODELS = {"f32": "tiny-test-model", "q8_0": "tiny-test-model-q8_0", "q4_0": "tiny-test-model-q4_0"}
PROMPT = "The cat, née \"Chat\""
OPTIONS: dict[str, object] = {
    "temperature": 0.7, "top_k": 50, "top_p": 0.95, "min_p": 0.001, "repetition_penalty": 1.1, "seed": 2**64 - 1,
    "max_tokens": 40, "stop_strings": ["\0never\n"],
}
Stack = Sequence[tuple[bytes, float | None]]


def fixture(kind: str) -> bytes:
    """The model of this type."""
    return (FIXTURES / f"{MODELS[kind]}.slm").read_bytes()


@cache
def stack(kind: str) -> Stack:
    """A low-rank and a sparse package for the model, with the scales to apply them."""
    file = model_file(fixture(kind))
    low_rank = package(file, PackageFormat.ALR1, matrices(file)[:3], scale=0.25)
    return ((low_rank, None), (package(file, PackageFormat.ASP1, matrices(file), seed=1, share=0.01), 0.1))


def opened(kind: str, adapters: Stack = (), kv_cache: KVCache = KVCache.F32, threads: int = 1) -> Session:
    session = Session(NativeHost(threads))
    session.load(fixture(kind), kv_cache)
    for data, scale in adapters:
        session.apply_adapter(data, scale)
    return session


def of_entry(name: str) -> bytes:
    """The receipt of the generation on an entry of the registry, assembled with its adapters."""
    session, models = Session(NativeHost()), FIXTURES.parent
    plan = json.loads((models / "evidence" / name / "plan.json").read_bytes())
    assemble(session, name, {fetch["component"]: (models / fetch["path"]).read_bytes() for fetch in plan["fetches"]})
    receipt = record(session)
    session.free()
    return receipt


def record(session: Session, prompt: str = PROMPT, stop_after: int | None = None, **options: object) -> bytes:
    """The receipt of one generation, which is stopped after so many tokens."""
    sampling = SamplingOptions.from_dict(OPTIONS | options)
    recorder = Recorder(session, sampling)
    session.start(prompt, sampling, recorder.recording)
    while not session.finished:
        if stop_after is not None and len(recorder.recording.ids) >= stop_after:
            session.stop()
        else:
            session.advance(lambda: True)
    return recorder.receipt()


def scale_bits(scale: float) -> str:
    return struct.pack(">f", scale).hex()
