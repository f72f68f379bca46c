"""Random and altered requests: always one sound answer or a close; and what is accepted here, h11 accepts too."""

from __future__ import annotations

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.serving.raw_http import connect, parse, read_all
from tests.serving.small_site import Running
from tinypylm_tools.serving.admission import admit, site_of
from tinypylm_tools.serving.limits import Limits
from tinypylm_tools.serving.request import Refusal, check_partial, parse_head
from tinypylm_tools.serving.target import decode_target

PORT = 8000
LIMITS = Limits()
GOOD = b"GET /main.js?x HTTP/1.1\r\nHost: localhost:8000\r\nRange: bytes=0-1\r\nContent-Length: 0\r\n\r\n"

pieces = st.sampled_from(
    [b"GET", b"HEAD", b" ", b"/", b"/a%41", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: localhost:8000",
     b"Content-Length: 0", b"Transfer-Encoding: chunked", b":", b"X: y", b"\t", b"\0", b"\x80", b"Connection: close"]
)  # fmt: skip
altered = st.tuples(st.integers(0, len(GOOD)), st.integers(0, 4), st.one_of(pieces, st.binary(max_size=3))).map(
    lambda change: GOOD[: change[0]] + change[2] + GOOD[change[0] + change[1] :]
)
heads = st.one_of(altered, st.lists(pieces, max_size=20).map(b"".join), st.binary(max_size=200))


def accepted(data: bytes) -> bytes | None:
    """The head at the start of `data` where every rule up to the look-up lets it pass."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 4]
    try:
        check_partial(head, LIMITS)
        request = parse_head(head, LIMITS)
        admit(request, site_of(PORT))
        decode_target(request.target)
    except Refusal:
        return None
    return head


@settings(max_examples=400)
@given(heads)
@example(GOOD)
def test_whatever_is_accepted_h11_reads_as_the_same_request(data: bytes) -> None:
    head = accepted(data)
    if head is None:
        return
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(head)
    event = peer.next_event()
    assert isinstance(event, h11.Request)
    ours = parse_head(head, LIMITS)
    assert (event.method.decode(), event.target) == (ours.method, ours.target)
    assert {name.decode() for name, _ in event.headers} == set(ours.fields)
    assert isinstance(peer.next_event(), h11.EndOfMessage)


def test_the_good_request_is_accepted() -> None:
    assert accepted(GOOD) == GOOD


@settings(max_examples=60)
@given(st.one_of(heads, st.binary(max_size=2_000)))
def test_random_bytes_get_one_sound_answer_or_a_close(site: Running, data: bytes) -> None:
    with connect(site.port) as connection:
        connection.sendall(data)
        connection.shutdown(1)
        received = read_all(connection)
    if received:
        assert parse(received).status in {200, 206, 304, 400, 403, 404, 405, 413, 414, 416, 417, 421, 431, 505}
    assert site.get("/").status == 200
