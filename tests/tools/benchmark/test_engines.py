"""Pages of engines: a package with a peer's interface, which counts instead of computing, and our own bench page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.benchmark.short_texts import SMALL, ending_at_once
from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.bench_models import random_model
from tinypylm_tools.benchmark.chromium import Chromium, open_chromium
from tinypylm_tools.benchmark.comparison import prompt_of
from tinypylm_tools.benchmark.endless import endless
from tinypylm_tools.benchmark.engines import Engine, OwnClock, open_ours, open_peer
from tinypylm_tools.benchmark.peers import Peer
from tinypylm_tools.benchmark.site import peer_site
from tinypylm_tools.model_file import open_model
from tinypylm_tools.serving.lock import LockedFile, Package

pytestmark = pytest.mark.browser

WLLAMA_2 = """
export class Wllama {
  constructor(paths) { window.paths = paths; }
  async loadModel([model], options) { window.loaded = {...options, bytes: model.size}; }
  async createCompletion(prompt, {nPredict, onNewToken}) {
    for (let n = 0; n < nPredict; n++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      onNewToken(7);
    }
  }
  async _testBenchmark(type, tokens) { return {t_ms: type === "pp" ? tokens : 4 * tokens}; }
}
"""
WLLAMA_3 = """
const timings = {prompt_per_second: 500, predicted_per_second: 50};
export class Wllama {
  constructor(paths) { window.paths = paths; }
  async loadModel([model], options) { window.loaded = {...options, bytes: model.size}; }
  async createCompletion({max_tokens, onData}) {
    for (let n = 0; n < max_tokens; n++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      onData({choices: [{text: "t"}]});
    }
    onData({choices: [], timings: {...timings, predicted_n: max_tokens}});
  }
}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with open_chromium() as opened:
        yield opened


@pytest.fixture(params=["2", "3"])
def peer_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The page of a peer whose package is one of the above, with a model of five bytes."""
    package = Package("wllama", f"{request.param}.0.0", "npm", 0, (LockedFile("its/index.js", "", 0, ""),))
    for name, data in (("its/index.js", {"2": WLLAMA_2, "3": WLLAMA_3}[request.param]), ("model/model.gguf", "model")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(data)
    peer = Peer(package.version, "wllama", (package,), f"wllama-{request.param}.js", "gguf")
    with peer_site(peer.routes(tmp_path, tmp_path / "model")) as address:
        yield f"{address}?threads=2&context_length=64"


@pytest.fixture
def peer(chromium: Chromium, peer_address: str) -> Iterator[Engine]:
    engine = open_peer(chromium, peer_address, threads=2, taken=frozenset())
    yield engine
    engine.close()


def test_a_peer_gets_the_model_the_context_and_the_threads(peer: Engine) -> None:
    loaded = peer.page.evaluate("() => loaded")
    assert (loaded["bytes"], loaded["n_ctx"], loaded["n_threads"]) == (5, 64, 2)


def test_a_peer_s_page_may_have_threads(peer: Engine) -> None:
    assert peer.page.evaluate("() => crossOriginIsolated") is True


def test_a_peer_s_tokens_are_timed_as_they_reach_the_page(peer: Engine) -> None:
    delivery = peer.run("x", 20)
    assert delivery.tokens == len(delivery.arrivals_ms) == 20
    assert delivery.first_ms == delivery.arrivals_ms[0]
    assert delivery.arrivals_ms == sorted(delivery.arrivals_ms)
    assert 0 < delivery.tokens_per_second < 500


@pytest.mark.parametrize(("peer_address", "own"), [("2", OwnClock(250.0, 1000.0)), ("3", OwnClock(50.0, 500.0))],
                         indirect=["peer_address"])
def test_a_peer_s_own_figures_are_kept_apart(peer: Engine, own: OwnClock) -> None:
    peer.run("x", 4)
    assert peer.own_clock(prompt_tokens=64, max_tokens=32) == own


def test_a_text_that_ends_at_once_is_measured_to_the_last_token_without_its_end(
    chromium: Chromium, server: str, tmp_path: Path
) -> None:
    model, prompt = ending_at_once(tmp_path / "short.slm", 32)
    copy = tmp_path / "copy.slm"
    copy.write_bytes(endless(model))
    engine = open_ours(chromium, server, copy, 1, frozenset())
    delivery = engine.run(prompt, 32)
    assert delivery.tokens == len(delivery.arrivals_ms) == 32
    engine.close()


def test_ours_runs_to_the_end_of_its_context(chromium: Chromium, server: str, tmp_path: Path) -> None:
    path = tmp_path / "small.slm"
    path.write_bytes(random_model(SMALL, DType.Q8_0))
    prompt = prompt_of(open_model(path).model, 16)
    engine = open_ours(chromium, server, path, 1, frozenset())
    delivery = engine.run(prompt, 48)
    assert engine.page.evaluate("() => engine.figures.prompt_tokens") == 16
    assert delivery.tokens == len(delivery.arrivals_ms) == 48
    assert engine.own_clock(16, 48).decode_tokens_per_second > 0
    assert engine.limit_tokens_per_second() > 0
    with pytest.raises(ToolError) as raised:
        engine.run(prompt, 1000)
    assert raised.value.code is ErrorCode.RUNTIME_FAILED
    engine.close()
