"""Adapters in the page: applied through the API, with the bits that CPython gets, and taken back."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.adapters.corpus import BASE_NAME, FOLDER, INDEX, SUFFIX
from tests.adapters.packages import matrices, model_file, package
from tests.engine.models import config, neox, random_file
from tests.web.desk import Desk
from tinypylm import canonical
from tinypylm.adapters import PackageFormat
from tinypylm.config import DType, ModelConfig
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.states import State

pytestmark = pytest.mark.browser

PROMPT = "some words"
GREEDY = {"temperature": 0, "max_tokens": 24}
FILE = model_file(random_file(config(n_layers=2, quantization=DType.Q8_0)))
STACK = [package(FILE, kind, matrices(FILE), seed, scale=0.5) for seed, kind in enumerate(PackageFormat)]

APPLY = """async ([text, scale]) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  try {
    await tinypylm.applyAdapter(bytes, scale === null ? {} : {scale});
  } catch (error) {
    return error.code;
  }
  return "applied";
}"""

APPLY_EACH = """async (packages) => {
  const codes = {};
  for (const [name, text] of Object.entries(packages)) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    codes[name] = await tinypylm.applyAdapter(bytes).then(() => "applied", (error) => error.code);
  }
  return codes;
}"""

DIGEST_IN_THE_PAGE = """
import hashlib, json
from tinypylm.session import Session
from tinypylm.options import SamplingOptions
file, stack = bytes.fromhex("{file}"), [bytes.fromhex(text) for text in "{stack}".split()]
session = Session(host)
session.load(file)
digests = []
def digest():
    engine = session._model.engine
    engine.prefill([1, 2, 3], 0)
    return hashlib.sha256(engine.logits() + engine.instance.read(0, len(file))).hexdigest()
digests.append(digest())
for data in stack:
    session.apply_adapter(data, 0.5)
    digests.append(digest())
session.detach_adapters()
digests.append(digest())
session.free()
" ".join(digests)
"""


def apply(desk: Desk, data: bytes, scale: float | None = None) -> str:
    return desk.page.evaluate(APPLY, [b64encode(data).decode(), scale])


def told_here(*stack: bytes) -> list[tuple[int, float]]:
    session = Session(NativeHost())
    session.load(FILE.data)
    for data in stack:
        session.apply_adapter(data)
    session.start(PROMPT, SamplingOptions.from_dict(GREEDY))
    tokens = []
    while session.state is State.GENERATING:
        tokens += [(event.id, event.logprob) for event in session.advance(lambda: False)]
    session.free()
    return tokens


def told_there(desk: Desk) -> list[tuple[int, float]]:
    return [(token["id"], token["logprob"]) for token in desk.tokens(PROMPT, **GREEDY)]


def test_a_stack_that_is_applied_and_detached_in_the_page_says_what_it_says_in_cpython(desk: Desk):
    desk.open_file("base.slm", FILE.data)
    before = told_there(desk)
    assert before == told_here()
    for data in STACK:
        assert apply(desk, data) == "applied"
        assert desk.state == "model-ready"
    assert desk.page.evaluate("async () => (await tinypylm.diagnostics()).adapter_apply_count") == 3
    assert desk.figure("adapter_apply_count") == "3"
    assert told_there(desk) == told_here(*STACK) != before
    desk.page.evaluate("async () => { await tinypylm.detachAdapters(); }")
    assert desk.state == "model-ready"
    assert desk.figure("adapter_apply_count") == "0"
    assert told_there(desk) == before


@pytest.mark.parametrize("shape", [config, neox])
@pytest.mark.parametrize("dtype", list(DType))
def test_weights_and_logits_have_the_same_bits_in_the_page_and_in_cpython(
    python: Callable[[str], Any], shape: Callable[..., ModelConfig], dtype: DType
):
    file = model_file(random_file(shape(n_layers=1, quantization=dtype)))
    stack = [package(file, kind, matrices(file), seed) for seed, kind in enumerate(PackageFormat)]
    source = DIGEST_IN_THE_PAGE.format(file=file.data.hex(), stack=" ".join(data.hex() for data in stack))
    names: dict[str, Any] = {"host": NativeHost()}
    *statements, value = source.strip().splitlines()
    exec("\n".join(statements), names)
    here = eval(value, names)
    assert python(source) == here
    assert here.split()[0] == here.split()[-1]


def test_threads_change_no_bit_of_an_adapted_model(new_desk: Callable[[str], Desk]):
    desk = new_desk("?threads=2")
    desk.reaches("ready")
    desk.open_file("base.slm", FILE.data)
    assert desk.figure("threads") == "2"
    for data in STACK:
        assert apply(desk, data) == "applied"
    assert told_there(desk) == told_here(*STACK)


def test_a_package_that_is_refused_leaves_the_context_and_shows_its_code(desk: Desk):
    desk.open_file("base.slm", FILE.data)
    desk.tokens(PROMPT, **GREEDY)
    assert desk.state == "context-ready"
    assert apply(desk, STACK[0][:-1]) == "AdapterSizeMismatch"
    assert desk.state == "context-ready"
    assert desk.code == "AdapterSizeMismatch"


def test_every_package_of_the_corpus_is_refused_in_the_page_with_its_code(desk: Desk):
    desk.open_file("base.slm", (FOLDER / BASE_NAME).read_bytes())
    before = told_there(desk)
    packages = {path.stem: b64encode(path.read_bytes()).decode() for path in FOLDER.glob(f"*{SUFFIX}")}
    assert desk.page.evaluate(APPLY_EACH, packages) == canonical.loads((FOLDER / INDEX).read_bytes())
    assert desk.figure("adapter_apply_count") == "0"
    assert told_there(desk) == before


def test_without_a_model_nothing_can_be_applied(desk: Desk):
    assert apply(desk, STACK[0]) == "ModelNotLoaded"


def test_a_scale_that_is_no_number_is_refused(desk: Desk):
    desk.open_file("base.slm", FILE.data)
    assert desk.page.evaluate(APPLY, [b64encode(STACK[0]).decode(), "much"]) == "OptionOutOfRange"
    assert apply(desk, STACK[0], 0) == "AdapterScaleInvalid"
