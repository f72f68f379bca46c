"""A client that sends exactly the bytes it is given and reads until the server closes."""

from __future__ import annotations

import socket
from dataclasses import dataclass

SECURITY_FIELDS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
        "style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tinypylm"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
    "connection": "close",
}


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes


ISOLATION = ("cross-origin-opener-policy", "cross-origin-embedder-policy")


def ask(port: int, request: bytes) -> Answer:
    """The answer to `request`, whose security fields are looked at on every call."""
    with connect(port) as connection:
        connection.sendall(request)
        return parse(read_all(connection))


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    while chunk := connection.recv(65_536):
        received += chunk
    return bytes(received)


def parse(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    assert status_line.startswith("HTTP/1.1 "), received[:100]
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert len(fields) == len(lines), "a field came twice"
    assert {name: fields.get(name) for name in SECURITY_FIELDS} == SECURITY_FIELDS
    assert "server" not in fields
    assert not any(name.startswith("access-control") for name in fields)
    assert fields["content-length"].isdigit()
    return Answer(int(status_line.split(" ")[1]), fields, body)
