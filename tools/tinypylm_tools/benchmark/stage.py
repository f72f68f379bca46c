"""Where a comparison happens: one browser, a running serve.py, and the peers that were asked for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.memory import KVCache
from tinypylm_tools.model_file import ModelFile

from .chart import Chart
from .chromium import Chromium, open_chromium
from .comparison import OURS, Comparison, take_turns
from .curves import curves
from .engines import Engine, open_ours, open_peer
from .peers import Peer
from .site import own_site, peer_site
from .visits import Visits, clone_with, visit_ours, visit_peer

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model under measurement."""

    shape: str
    file: ModelFile

    @property
    def quantization(self) -> str:
        return self.file.model.config.quantization.label

    def title(self, threads: int) -> str:
        return f"{self.shape} {self.quantization}, {threads} thread{'s' * (threads > 1)}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Make one with `open_stage`. `fetched` is the folder of the peers' packages, `work` one for files of this run."""

    browser: Chromium
    address: str
    peers: tuple[Peer, ...]
    root: Path
    fetched: Path
    work: Path
    kv_cache: KVCache

    @property
    def browser_name(self) -> str:
        return f"Chromium {self.browser.version()}"

    def compare(self, subject: Subject, threads: int, runs: int, say: Say) -> Comparison:
        """Turns of all engines. Raises ToolError where none of them can use so many threads, or one fails."""
        with self._engines(subject, threads, say) as engines, self._yardstick(subject, threads, engines) as yardstick:
            turns, limit = take_turns(engines, yardstick, subject.file.model, runs, say)
        # How many threads there are hardly changes how long a visitor waits.
        visits = self._visits(subject, runs, say) if threads == 1 else []
        return Comparison(subject.shape, subject.quantization, threads, limit, turns, visits)

    def curves(self, subject: Subject, threads: int, say: Say) -> dict[str, Chart]:
        """Charts of one model, by what they show."""
        names = {peer.label: peer.title for peer in self.peers}
        with self._engines(subject, threads, say) as engines:
            named = {names.get(label, label): engine for label, engine in engines.items()}
            return curves(subject.title(threads), named, subject.file.model, say)

    @contextmanager
    def _engines(self, subject: Subject, threads: int, say: Say) -> Iterator[dict[str, Engine]]:
        """Every engine that can use so many threads, loaded, by its label."""
        with ExitStack() as stack:
            addresses = self._peer_addresses(subject, threads, stack)
            engines: dict[str, Engine] = {}
            for label in (OURS, *addresses):
                say(f"loading {label}")
                engine = (open_peer(self.browser, addresses[label], threads, _processes(engines)) if label in addresses
                          else self._ours(subject, threads, engines))
                stack.callback(engine.close)
                engines[label] = engine
            able = {label: engine for label, engine in engines.items() if engine.threads == threads}
            if not able:
                raise ToolError(ErrorCode.UNKNOWN_OPTION, f"no engine here uses {threads} threads; try --threads 1")
            yield able

    @contextmanager
    def _yardstick(self, subject: Subject, threads: int, beside: Mapping[str, Engine]) -> Iterator[Engine | None]:
        """One of ours that measures the limit, which is one thread's."""
        if threads > 1:
            yield None
            return
        with closing(self._ours(subject, threads, beside)) as engine:
            yield engine

    def _ours(self, subject: Subject, threads: int, beside: Mapping[str, Engine]) -> Engine:
        return open_ours(self.browser, self.address, subject.file.path, threads, _processes(beside), self.kv_cache)

    def _visits(self, subject: Subject, runs: int, say: Say) -> list[dict[str, Visits]]:
        with ExitStack() as stack:
            clone = clone_with(self.root, subject.file, self.work)
            stack.callback(shutil.rmtree, clone)
            address = stack.enter_context(own_site(clone))
            peers = self._peer_addresses(subject, 1, stack)
            visits = []
            for n in range(1, runs + 1):
                say(f"visit {n} of {runs}")
                theirs = {label: visit_peer(peer) for label, peer in peers.items()}
                visits.append({OURS: visit_ours(address, subject.file.path.stem)} | theirs)
            return visits

    def _peer_addresses(self, subject: Subject, threads: int, stack: ExitStack) -> dict[str, str]:
        """The page of each peer with this model, by the peer's label, served until `stack` ends."""
        context_length = subject.file.model.config.context_length
        query = urlencode({"threads": threads, "context_length": context_length})
        sites = {peer.label: peer.routes(self.fetched, peer.model(subject.file, self.work)) for peer in self.peers}
        return {label: f"{stack.enter_context(peer_site(routes))}?{query}" for label, routes in sites.items()}


def _processes(engines: Mapping[str, Engine]) -> set[int]:
    return {engine.process_id for engine in engines.values()}


@contextmanager
def open_stage(root: Path, peers: tuple[Peer, ...], fetched: Path, kv_cache: KVCache) -> Iterator[Stage]:
    """Raises ToolError where a server or a browser does not start."""
    with tempfile.TemporaryDirectory() as work, own_site(root) as address, open_chromium() as browser:
        yield Stage(browser, address, peers, root, fetched, Path(work), kv_cache)
