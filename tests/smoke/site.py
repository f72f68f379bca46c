"""A server of a journey's own: serve.py's, in this process, with files that are exchanged while pages ask for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.serving.small_site import running
from tests.web.altered import WEB, manifest_with
from tinypylm_tools.serving.limits import Limits
from tinypylm_tools.serving.routes import Route, build_routes

MANIFEST = "vendor/manifest.json"


class Site(Mapping[str, Route]):
    """serve.py's table, with what a test has put in the place of its files. `requests` is every path asked for."""

    address = ""

    def __init__(self, models: Path, folder: Path):
        self._sound, self._folder = build_routes(WEB, models), folder
        self._put: dict[str, Route] = {}
        self._held: dict[str, threading.Event] = {}
        self.requests: list[str] = []

    def put(self, path: str, data: bytes) -> None:
        """`path`, relative to the address and served already, is `data` from now on."""
        file = self._folder / (path if path.startswith("models/") else f"web/{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self._put[f"/{path}"] = build_routes(self._folder / "web", self._folder / "models")[f"/{path}"]

    def restore(self) -> None:
        self._put.clear()

    def rewrite(self, path: str, script: str) -> None:
        """As `put`, and the manifest says so: a page of another version, not one that drifted. For one file."""
        self.put(path, script.encode())
        self.put(MANIFEST, manifest_with({path: script.encode()}))

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Whoever asks for `path` waits until the block ends."""
        release = self._held[f"/{path}"] = threading.Event()
        try:
            yield
        finally:
            del self._held[f"/{path}"]
            release.set()

    def __getitem__(self, path: str) -> Route:
        self.requests.append(path)
        if held := self._held.get(path):
            held.wait()
        return self._put.get(path) or self._sound[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sound)

    def __len__(self) -> int:
        return len(self._sound)


@contextmanager
def open_site(models: Path, folder: Path) -> Iterator[Site]:
    """Serves until the block ends; `folder` is for what is put."""
    site = Site(models, folder)
    with running(folder, Limits(), routes=site) as server:
        site.address = f"http://127.0.0.1:{server.port}/"
        yield site
