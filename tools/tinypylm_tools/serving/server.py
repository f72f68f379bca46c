"""Listening sockets, one thread for each connection, and a stop that leaves none of them behind."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus

from tinypylm.errors import ErrorCode, ToolError

from .connection import Service, linger, send, serve
from .reply import refuse
from .request import Refusal

# Windows doesn't interrupt select for Ctrl-C; elsewhere nothing waits for this.
_POLL_S = 0.5
_BACKLOG = 128
# For one more than the limit to read that it is one too many.
_TURNED_AWAY_S = 0.05
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_DESCRIPTOR_WAIT_S = 0.1


def listen(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """A listening socket for each address, all on one port; port 0 takes a free one.

    Clients may connect from now on; they wait until `Server.run` accepts them.
    Raises ToolError (ADDRESS_UNAVAILABLE).
    """
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for address in addresses:
            sockets.append(opened.enter_context(_listener(address, port)))
            port = port_of(sockets)
        opened.pop_all()
        return sockets


def port_of(listeners: Sequence[socket.socket]) -> int:
    return int(listeners[0].getsockname()[1])


CONNECTION_THREAD = "connection"


class Server:
    """Accepts on `listeners` until stopped; owns them and every connection."""

    def __init__(self, listeners: Sequence[socket.socket], service: Service):
        self._listeners = listeners
        self._service = service
        self._woken, self._waker = socket.socketpair()
        self._lock = threading.Lock()
        self._live: dict[socket.socket, threading.Thread] = {}

    def run(self) -> None:
        """Accept connections until `stop` is called, which a signal handler may do; then end them all."""
        with self._woken, self._waker:
            while self._woken not in (ready := select.select([self._woken, *self._listeners], [], [], _POLL_S)[0]):
                for listener in ready:
                    self._accept(listener)
        self._end_all()

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # a second Ctrl-C, after the first has ended it
            self._waker.send(b"s")

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:  # the client has left meanwhile, or waits until somebody gives a descriptor back
            if error.errno in _OUT_OF_DESCRIPTORS:
                time.sleep(_DESCRIPTOR_WAIT_S)
            return
        with self._lock:
            if len(self._live) < self._service.limits.connections and self._start(connection):
                return
        with contextlib.suppress(OSError):
            _turn_away(connection, self._service)

    def _start(self, connection: socket.socket) -> bool:
        thread = threading.Thread(target=self._serve, args=(connection,), name=CONNECTION_THREAD, daemon=True)
        self._live[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            del self._live[connection]
            return False
        return True

    def _serve(self, connection: socket.socket) -> None:
        try:
            serve(connection, self._service)
        finally:
            with self._lock:
                del self._live[connection]
                connection.close()

    def _end_all(self) -> None:
        for listener in self._listeners:
            listener.close()
        with self._lock:
            threads = list(self._live.values())
            for connection in self._live:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def _turn_away(connection: socket.socket, service: Service) -> None:
    """503, without a thread and almost without waiting: this runs between two accepts."""
    reply = refuse(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open."))
    with connection, contextlib.suppress(OSError):
        connection.setblocking(False)
        send(connection, reply, isolated=service.isolated)
        linger(connection, _TURNED_AWAY_S)


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        if os.name != "nt":  # on Windows this option would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # a client may leave between select and accept
    except OSError as error:
        listener.close()
        raise _unavailable(address, port, error) from error
    return listener


def _unavailable(address: str, port: int, error: OSError) -> ToolError:
    if error.errno == errno.EADDRINUSE:
        advice = f"is in use. Try another: --port {port % 65_535 + 1} (0 picks a free one)"
    elif error.errno == errno.EACCES:
        advice = "needs rights that this user lacks. Try one above 1023: --port 8000"
    else:
        advice = f"cannot be used ({error.strerror}). Try: --host 127.0.0.1 --port 0"
    return ToolError(ErrorCode.ADDRESS_UNAVAILABLE, f"Port {port} on {address} {advice}", {"port": port})
