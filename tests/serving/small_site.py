"""A server of our own on a small site, in this process, so that its limits can be lowered and its threads counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.serving.raw_http import Answer, ask
from tinypylm_tools.serving.admission import site_of
from tinypylm_tools.serving.connection import Service
from tinypylm_tools.serving.limits import Limits
from tinypylm_tools.serving.routes import Routes, build_routes
from tinypylm_tools.serving.server import CONNECTION_THREAD, Server, listen, port_of

MODEL = bytes(range(256)) * 4
LARGE_BYTES = 16 << 20  # more than the buffers of a connection hold


@dataclass(frozen=True)
class Running:
    port: int
    root: Path
    log: list[str] = field(default_factory=list)

    def ask(self, request_line: str, *fields: str) -> Answer:
        """The answer to a request with the right Host and `fields`."""
        lines = [request_line, f"Host: 127.0.0.1:{self.port}", *fields, "", ""]
        return ask(self.port, "\r\n".join(lines).encode("latin-1"))

    def get(self, target: str, *fields: str) -> Answer:
        return self.ask(f"GET {target} HTTP/1.1", *fields)

PATIENCE_SECONDS = 5
"""A connection that is draining ends by itself within a second; a busy machine takes longer."""


@contextmanager
def running(root: Path, limits: Limits, *, isolated: bool = True, routes: Routes | None = None) -> Iterator[Running]:
    """A server on `root`, or on other `routes`; at the end none of its threads is left."""
    listeners = listen(["127.0.0.1"], 0)
    site = Running(port_of(listeners), root)
    table = build_routes(root / "web", root / "models") if routes is None else routes
    service = Service(site_of(site.port), table, limits, site.log.append, isolated)
    server = Server(listeners, service)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield site
    finally:
        server.stop()
        thread.join()
    ends = time.monotonic() + PATIENCE_SECONDS
    while (left := [t for t in threading.enumerate() if t.name == CONNECTION_THREAD]) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not left


def make_site(root: Path) -> Path:
    files = {
        "web/index.html": b"<!doctype html><link rel=icon href=data:,>page",
        "web/main.js": b"export {};",
        "web/worker.js": b"postMessage('started');",
        "web/views/a.mjs": b"export {};",
        "web/vendor/engine.wasm": b"\0asm",
        "web/notes.unknown": b"no type of ours",
        "web/.hidden.js": b"hidden",
        "web/tsconfig.json": b"{}",
        "web/notes.md": b"for developers",
        "models/a.slm": MODEL,
        "models/empty.slm": b"",
        "models/selector.registry": b"{}",
        "models/\u00fc b.txt": b"a name to escape",
        "secret.txt": b"beside the served folders",
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    with (root / "models/large.slm").open("wb") as file:
        file.truncate(LARGE_BYTES)
    (root / "web/link.js").symlink_to(root / "secret.txt")
    (root / "web/linked").symlink_to(root)
    return root
