"""A reply: a status, fields, and a body that is bytes or a span of an open file."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from io import FileIO

from .request import Refusal

# Everything comes from this server, and nothing may frame it. WebAssembly may be compiled; eval may not run,
# and no text becomes markup or a script's address but through the policy of web/trusted-script.js.
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tinypylm"
)

# Together they make the page cross-origin isolated, which threads need: memory can then be shared.
ISOLATION_FIELDS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# What a page may do and who may see it, whichever server sends it.
SITE_FIELDS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
# On every reply of this server, errors too.
_ALWAYS = {**SITE_FIELDS, "Connection": "close"}


@dataclass(frozen=True, slots=True)
class Span:
    """`bytes` bytes of an open file from `start` on. Whoever sends it closes the file."""

    file: FileIO
    start: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`content_bytes` is what Content-Length says, even where HEAD or 304 keeps the body away."""

    status: HTTPStatus
    content_bytes: int
    body: bytes | Span = b""
    fields: dict[str, str] = field(default_factory=dict)

    def head(self, *, isolated: bool = True) -> bytes:
        own = {"Date": formatdate(usegmt=True), "Content-Length": str(self.content_bytes)}
        always = {**_ALWAYS, **(ISOLATION_FIELDS if isolated else {})}
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in {**own, **self.fields, **always}.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def refuse(refusal: Refusal, *, with_body: bool = True) -> Reply:
    """The reply to a refused request: one fixed sentence as plain text."""
    body = f"{refusal.status.value} {refusal.status.phrase}. {refusal.sentence}\n".encode("ascii")
    fields = {"Content-Type": "text/plain; charset=utf-8"} | refusal.fields
    return Reply(refusal.status, len(body), body if with_body else b"", fields)
