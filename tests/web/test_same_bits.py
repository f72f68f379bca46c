"""The same file and the same tokens give the same logits, bit for bit, in Chromium and in CPython."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.models import loaded, neox, random_file
from tinypylm.config import DType
from tinypylm.engine import Engine

pytestmark = pytest.mark.browser

MODELS = [
    "fixtures/tiny-test-model", "fixtures/tiny-test-model-q8_0", "fixtures/tiny-test-model-q4_0",
    "storyteller-2m-f32", "storyteller-2m-q8_0", "storyteller-2m-q4_0",
]
TOKENS = 48
NEOX = {
    "f32": neox(context_length=64, gelu_tanh=True),
    "q8_0": neox(context_length=64, quantization=DType.Q8_0, parallel_residual=False),
    "q4_0": neox(context_length=64, quantization=DType.Q4_0, tied_embeddings=True),
}

IN_THE_PAGE = """
import hashlib
from base64 import b64decode
from pyodide.http import pyfetch
from tinypylm.engine import Engine
from tinypylm.format import parse
data = {data}
engine = Engine.load(parse(data), data, host)
token, digest = 65, hashlib.sha256()
engine.prefill([1, 2, 3], 0)
for position in range(3, 3 + {tokens}):
    engine.step(token, position)
    digest.update(engine.logits())
    token = engine.candidates(1, 1.0, 1.0).ids[0]
digest.update(bytes(engine.candidates(40, 0.7, 1.2).buffer))
engine.free()
digest.hexdigest()
"""


def digest_here(engine: Engine) -> str:
    token, digest = 65, hashlib.sha256()
    engine.prefill([1, 2, 3], 0)
    for position in range(3, 3 + TOKENS):
        engine.step(token, position)
        digest.update(engine.logits())
        token = engine.candidates(1, 1.0, 1.0).ids[0]
    digest.update(bytes(engine.candidates(40, 0.7, 1.2).buffer))
    return digest.hexdigest()


@pytest.mark.parametrize("model", MODELS)
def test_logits_and_candidates_have_the_same_bits(
    python: Callable[[str], str], server: str, repo_root: Path, model: str
):
    path = f"models/{model}.slm"
    engine = loaded((repo_root / path).read_bytes())
    fetched = f'await (await pyfetch("{server + path}")).bytes()'
    assert python(IN_THE_PAGE.format(data=fetched, tokens=TOKENS)) == digest_here(engine)
    engine.free()


@pytest.mark.parametrize("quantization", NEOX)
def test_gpt_neox_has_the_same_bits(python: Callable[[str], str], quantization: str):
    data = random_file(NEOX[quantization])
    engine = loaded(data)
    written = f'b64decode("{b64encode(data).decode()}")'
    assert python(IN_THE_PAGE.format(data=written, tokens=TOKENS)) == digest_here(engine)
    engine.free()
