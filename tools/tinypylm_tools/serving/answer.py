"""What an admitted request gets: a file, a part of one, or "not modified" (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from http import HTTPStatus
from io import FileIO

from .reply import Reply, Span
from .request import Refusal, Request
from .routes import Route, Routes
from .target import decode_target

# 19 digits hold any file size; what is longer is ignored like any other range that is not understood.
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


def answer(request: Request, routes: Routes) -> Reply:
    """The reply to a request that was admitted. Raises Refusal; FileChangedError where the disk has moved on."""
    route = routes.get(decode_target(request.target))
    if route is None:
        raise not_found()
    file = route.open()
    reply = None
    try:
        reply = _answer_with(file, route, request)
    finally:
        if reply is None or not isinstance(reply.body, Span):
            file.close()
    return reply


def not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "Nothing is served here.")


def _answer_with(file: FileIO, route: Route, request: Request) -> Reply:
    etag = route.etag(file)
    fields = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": route.media_type}
    if _is_known(etag, request.field("if-none-match")):
        return Reply(HTTPStatus.NOT_MODIFIED, route.bytes, fields=fields)
    if request.method == "HEAD":
        return Reply(HTTPStatus.OK, route.bytes, fields=fields)
    wanted = _wanted_range(request, etag, route.bytes)
    if wanted is None:
        return Reply(HTTPStatus.OK, route.bytes, Span(file, 0, route.bytes), fields)
    start, end = wanted
    fields["Content-Range"] = f"bytes {start}-{end - 1}/{route.bytes}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, end - start, Span(file, start, end - start), fields)


def _is_known(etag: str, if_none_match: str | None) -> bool:
    """Weak comparison, as If-None-Match asks for."""
    if if_none_match is None:
        return False
    candidates = {candidate.strip(" ").removeprefix("W/") for candidate in if_none_match.split(",")}
    return etag in candidates or if_none_match == "*"


def _wanted_range(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """Start and end of the one range asked for; None where the whole file is to be sent.

    Raises Refusal (416) where the range holds no byte of the file.
    """
    match = _RANGE.fullmatch(request.field("range") or "")
    if not match or match[0] == "bytes=-" or request.field("if-range") not in (None, etag):
        return None
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        raise Refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "The file has no bytes in this range.",
            {"Content-Range": f"bytes */{size}"},
        )
    return start, end
