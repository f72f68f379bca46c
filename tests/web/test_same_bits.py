"""The same file and the same tokens give the same logits, bit for bit, in Chromium and in CPython."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.models import loaded
from tinypylm.engine import Engine

pytestmark = pytest.mark.browser

MODELS = [
    "fixtures/tiny-test-model", "fixtures/tiny-test-model-q8_0", "fixtures/tiny-test-model-q4_0",
    "storyteller-2m-f32", "storyteller-2m-q8_0", "storyteller-2m-q4_0",
]
TOKENS = 48

IN_THE_PAGE = """
import hashlib
from pyodide.http import pyfetch
from tinypylm.engine import Engine
from tinypylm.format import parse
data = await (await pyfetch("{address}")).bytes()
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
    assert python(IN_THE_PAGE.format(address=server + path, tokens=TOKENS)) == digest_here(engine)
    engine.free()
