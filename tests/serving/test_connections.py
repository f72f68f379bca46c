"""Many, slow, silent and vanishing clients; and a stop that leaves nothing running."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.serving.raw_http import connect, parse, read_all
from tests.serving.small_site import LARGE_BYTES, Running, running
from tinypylm.errors import ToolError
from tinypylm_tools.serving.limits import Limits
from tinypylm_tools.serving.server import listen, port_of

Start = Callable[[Limits], Running]


def large_file_request(port: int) -> bytes:
    return b"GET /models/large.slm HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port


def test_a_head_that_drips_is_cut_off_at_the_deadline(start: Start) -> None:
    site = start(Limits(head_s=0.5, linger_s=0.2))
    began = time.monotonic()
    with connect(site.port) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        answer = b""
        while not answer and time.monotonic() - began < 5:
            connection.sendall(b"a")
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert parse(answer).status == 408
    assert 0.4 < time.monotonic() - began < 2


def test_a_client_that_says_nothing_is_closed_without_a_word(start: Start) -> None:
    site = start(Limits(head_s=0.2))
    with connect(site.port) as connection:
        assert read_all(connection) == b""
    assert site.log == []


def test_a_client_that_leaves_before_the_end_of_its_head_gets_no_answer(site: Running) -> None:
    with connect(site.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""


def test_a_head_in_single_bytes_is_served(site: Running) -> None:
    with connect(site.port) as connection:
        for byte in b"GET /main.js HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % site.port:
            connection.sendall(bytes([byte]))
        assert parse(read_all(connection)).body == b"export {};"


def test_what_follows_the_head_is_not_taken_for_a_second_request(site: Running) -> None:
    request = b"GET /main.js HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % site.port
    with connect(site.port) as connection:
        connection.sendall(request + request)
        assert parse(read_all(connection)).body == b"export {};"


def test_a_refused_upload_still_hears_why(site: Running) -> None:
    with connect(site.port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        assert parse(read_all(connection)).status == 405


def test_connection_65_is_turned_away_and_served_once_another_has_left(start: Start) -> None:
    site = start(Limits())
    with ExitStack() as stack:
        held = [stack.enter_context(connect(site.port)) for _ in range(64)]
        with connect(site.port) as turned_away:
            assert parse(read_all(turned_away)).status == 503
        held[0].close()
        assert wait_for(lambda: site.get("/").status == 200)


def test_a_client_that_stops_reading_is_dropped(start: Start) -> None:
    site = start(Limits(connections=1, stall_s=0.3, linger_s=0.2))
    with connect(site.port) as stalled:
        stalled.sendall(large_file_request(site.port))
        assert stalled.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert site.get("/").status == 503
        assert wait_for(lambda: site.get("/").status == 200)


def test_a_client_that_leaves_in_the_middle_of_a_file_harms_nobody(start: Start) -> None:
    site = start(Limits(connections=1, linger_s=0.2))
    with connect(site.port) as leaving:
        leaving.sendall(large_file_request(site.port))
        assert leaving.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert wait_for(lambda: site.get("/").status == 200)


def test_a_file_cut_short_while_it_is_sent_ends_early(start: Start) -> None:
    site = start(Limits(linger_s=0.2))
    with connect(site.port) as connection:
        connection.sendall(large_file_request(site.port))
        received = connection.recv(1000)
        with (site.root / "models/large.slm").open("r+b") as file:
            file.truncate(1)
        received += read_all(connection)
    assert 0 < len(parse(received).body) < LARGE_BYTES


def test_64_clients_at_once_each_get_their_file(start: Start) -> None:
    """All are connected before the first is answered, and each reads a part before any reads the rest."""
    site = start(Limits(linger_s=0.2))
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(site.port)) for _ in range(64)]
        for client in clients:
            client.sendall(large_file_request(site.port))
        begun = [bytearray(client.recv(1000)) for client in clients]
        sizes = [len(parse(bytes(head + read_all(client))).body) for head, client in zip(begun, clients, strict=True)]
    assert sizes == [LARGE_BYTES] * 64


def test_a_client_for_whom_the_system_has_no_thread_is_turned_away(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = start(Limits())

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", fail)
        assert site.get("/").status == 503
    assert site.get("/").status == 200


def test_a_client_waits_while_descriptors_have_run_out_and_the_server_does_not_spin(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, accept, tries = start(Limits()), socket.socket.accept, list[float]()

    def exhausted(listener: socket.socket) -> tuple[socket.socket, object]:
        tries.append(time.monotonic())
        if tries[-1] - tries[0] < 0.5:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", exhausted)
    assert site.get("/main.js").status == 200
    assert len(tries) < 10


def test_a_stop_ends_connections_that_are_still_open(start: Start) -> None:
    """`running` itself asserts that no thread is left."""
    site = start(Limits())
    with ExitStack() as stack:
        with running(site.root, Limits()) as stopped:
            silent = stack.enter_context(connect(stopped.port))
            stalled = stack.enter_context(connect(stopped.port))
            stalled.sendall(large_file_request(stopped.port))
            stalled.recv(1000)
            began = time.monotonic()
        assert time.monotonic() - began < 2
        assert read_all(silent) == b""


def test_the_port_can_be_used_again_right_after_a_stop(start: Start) -> None:
    site = start(Limits())
    with running(site.root, Limits()) as stopped, connect(stopped.port) as connection:
        connection.sendall(b"bad\r\n\r\n")
        assert parse(read_all(connection)).status == 400
    for listener in listen(["127.0.0.1"], stopped.port):
        listener.close()


def test_both_loopback_addresses_share_one_port() -> None:
    try:
        listeners = listen(["127.0.0.1", "::1"], 0)
    except ToolError as error:
        pytest.skip(str(error))
    assert {listener.getsockname()[1] for listener in listeners} == {port_of(listeners)}
    for listener in listeners:
        listener.close()


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
