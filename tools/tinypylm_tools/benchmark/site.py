"""Sites under measurement: serve.py as it is, and one for each peer, as serve.py never serves what others wrote."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.serving.routes import MEDIA_TYPES

# Cross-origin isolated, as the page of this project is, so that threads can be had; and kept by the browser,
# so that a second visit finds its files there.
_FIELDS = {
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "max-age=3600",
}


@contextmanager
def own_site(root: Path) -> Iterator[str]:
    """The address, with its final slash, of a serve.py of this tree on a free port. Raises ToolError."""
    if not (root / "serve.py").is_file():
        raise ToolError(ErrorCode.MISSING_FILE, f"{root / 'serve.py'} is missing: run the benchmark from a clone")
    command_line = [sys.executable, str(root / "serve.py"), "--port", "0"]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = server.stdout.readline().strip()
        if not address:
            raise ToolError(ErrorCode.MISSING_FILE, "serve.py did not start; its message stands above")
        try:
            yield address
        finally:
            server.terminate()


@contextmanager
def peer_site(routes: Mapping[str, Path]) -> Iterator[str]:
    """The address, with its final slash, of a server on this machine that has these paths and no others."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(routes)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _handler(routes: Mapping[str, Path]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            file = routes.get(urlsplit(self.path).path)
            if file is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            data = file.read_bytes()
            self.send_response(HTTPStatus.OK)
            fields = {"Content-Type": MEDIA_TYPES.get(file.suffix, "application/octet-stream"),
                      "Content-Length": str(len(data)), **_FIELDS}
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the benchmark's own output is what matters."""

    return Handler
