"""The head of a request: reading it from a connection, and its syntax.

Stricter than RFC 9112 wherever it leaves a choice: one spelling of everything, and nothing is repaired.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus

from .limits import Limits

_END = b"\r\n\r\n"
# Anything but visible characters, spaces and CRLF pairs. A CR at the very end may still get its LF.
_FORBIDDEN = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    """A request that gets `status` and one fixed sentence; nothing that the client sent is echoed."""

    def __init__(self, status: HTTPStatus, sentence: str, fields: dict[str, str] | None = None):
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.fields = fields or {}


@dataclass(frozen=True, slots=True)
class Request:
    """A head whose syntax is sound. A field that came twice is one joined by a comma (RFC 9110 section 5.3).

    So a second Host or Content-Length makes a value that no rule accepts.
    """

    method: str
    target: bytes
    fields: dict[str, str]

    def field(self, name: str) -> str | None:
        return self.fields.get(name)


def read_head(connection: socket.socket, limits: Limits) -> bytes:
    """Bytes up to and including the empty line; b"" where the client leaves, or stays silent, before any.

    Raises Refusal as soon as what has arrived cannot become a request.
    """
    deadline = time.monotonic() + limits.head_s
    head = b""
    while _END not in head:
        check_partial(head, limits)
        chunk = _receive(connection, deadline - time.monotonic(), limits.head_bytes)
        if chunk is None and head:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "The head of the request did not end in time.")
        if not chunk:
            return b""
        head += chunk
    head = head[: head.index(_END) + len(_END)]
    check_partial(head, limits)
    return head


def _receive(connection: socket.socket, seconds: float, size: int) -> bytes | None:
    """Some bytes; b"" at the end of the stream; None where nothing came in time."""
    if seconds <= 0:
        return None
    connection.settimeout(seconds)
    try:
        return connection.recv(size)
    except TimeoutError:
        return None


def check_partial(head: bytes, limits: Limits) -> None:
    """Refuse a head, whole or not, for its size or for a byte that no head may hold."""
    lines = head.split(b"\r\n")
    if len(lines[0]) > limits.line_bytes:
        raise Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")
    too_long = any(len(line) > limits.line_bytes for line in lines)
    if too_long or len(lines) - 3 > limits.fields or len(head) > limits.head_bytes:
        raise Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The header fields are too many or too large.")
    if _FORBIDDEN.search(head):
        raise _malformed("The head holds a control character, or a line that does not end in CR LF.")


def parse_head(head: bytes, limits: Limits) -> Request:
    """A Request out of a head that `read_head` gave."""
    request_line, *lines = head[: -len(_END)].split(b"\r\n")
    method, target = _request_line(request_line, limits)
    fields: dict[str, str] = {}
    for name, value in map(_field, lines):
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Request(method, target, fields)


def _request_line(line: bytes, limits: Limits) -> tuple[str, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise _malformed("The request line is not: method, target, version, with one space between.")
    method, target, version = parts
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target) and _VERSION.fullmatch(version)):
        raise _malformed("The request line holds a method, target or version that HTTP does not allow.")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This server speaks HTTP/1.1 and HTTP/1.0.")
    if len(target) > limits.target_bytes:
        raise Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "The target is too long.")
    return method.decode("ascii"), target


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name):
        raise _malformed("A header field is not a name directly followed by a colon and a value.")
    return name.decode("ascii").lower(), value.strip(b" ").decode("latin-1")


def _malformed(sentence: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, sentence)
