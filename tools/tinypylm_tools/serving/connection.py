"""One connection: one request, one reply, and a close that lets the client read it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .admission import Site, admit
from .answer import answer, not_found
from .limits import Limits
from .reply import Reply, Span, refuse
from .request import Refusal, parse_head, read_head
from .routes import FileChangedError, Routes

_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Service:
    """What every connection needs: whom to answer, with what, within which limits, and where to log."""

    site: Site
    routes: Routes
    limits: Limits
    log: Callable[[str], None]
    isolated: bool = True


def serve(connection: socket.socket, service: Service) -> None:
    """Answer one request. A client that leaves early is no error; the caller closes the socket."""
    with contextlib.suppress(OSError):
        reply = _reply_to(connection, service)
        if reply is None:
            return
        connection.settimeout(service.limits.stall_s)
        send(connection, reply, isolated=service.isolated)
        linger(connection, service.limits.linger_s)


def linger(connection: socket.socket, seconds: float) -> None:
    """Say that no more comes, and take what the client still sends.

    Closing with unread bytes would reset the connection, and the client could lose the reply.
    """
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(_CHUNK_BYTES):
            return


def _reply_to(connection: socket.socket, service: Service) -> Reply | None:
    """The reply; None where the client has left, or has sent nothing at all."""
    method, target = "", b""
    try:
        head = read_head(connection, service.limits)
        if not head:
            return None
        request = parse_head(head, service.limits)
        method, target = request.method, request.target
        admit(request, service.site)
        return answer(request, service.routes)
    except Refusal as refusal:
        service.log(f"{refusal.status.value} {method} {target.decode('ascii')!a}: {refusal}")
        return refuse(refusal, with_body=method != "HEAD")
    except FileChangedError as error:
        service.log(f"{error} since serve.py was started; start it again to serve it")
        return refuse(not_found(), with_body=method != "HEAD")


def send(connection: socket.socket, reply: Reply, *, isolated: bool) -> None:
    for chunk in _chunks(reply, isolated=isolated):
        rest = memoryview(chunk)
        while rest:
            rest = rest[connection.send(rest) :]


def _chunks(reply: Reply, *, isolated: bool) -> Iterator[bytes]:
    """The reply's bytes in order. A file that shrinks meanwhile ends them early, which the client notices."""
    yield reply.head(isolated=isolated)
    if not isinstance(reply.body, Span):
        yield reply.body
        return
    with reply.body.file as file:
        file.seek(reply.body.start)
        left = reply.body.bytes
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk
