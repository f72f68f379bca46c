"""Which well-formed requests are for this server: method, framing, and where the request comes from.

The checks stand in the order in which they answer. They keep other sites (by DNS rebinding, or by plain
cross-site requests) from using a person's browser to read what is served here.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from .request import Refusal, Request


@dataclass(frozen=True, slots=True)
class Site:
    """The authorities, host and port, under which this server is meant to be reached."""

    authorities: frozenset[str]

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(f"http://{authority}" for authority in self.authorities)


def site_of(port: int, *extra_hosts: str) -> Site:
    """The loopback names on `port`, as a browser spells them: it leaves out port 80."""
    hosts = ("127.0.0.1", "localhost", "[::1]", *extra_hosts)
    bare = hosts if port == 80 else ()
    return Site(frozenset([*(f"{host}:{port}" for host in hosts), *bare]))


def admit(request: Request, site: Site) -> None:
    """Refuse what is not a plain GET or HEAD from this server's own page or from the address bar."""
    if request.method not in ("GET", "HEAD"):
        allow = {"Allow": "GET, HEAD"}
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are served.", allow)
    _refuse_bodies_and_upgrades(request)
    _refuse_other_sites(request, site)


def _refuse_bodies_and_upgrades(request: Request) -> None:
    for name in ("transfer-encoding", "upgrade", "trailer"):
        if request.field(name) is not None:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"A request here carries no {name.title()}.")
    if request.field("expect") is not None:
        raise Refusal(HTTPStatus.EXPECTATION_FAILED, "A request here carries no Expect.")
    if request.field("content-length") not in (None, "0"):
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "A request here has no body.")


def _refuse_other_sites(request: Request, site: Site) -> None:
    if (request.field("host") or "").lower() not in site.authorities:
        raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, "Host names another server, or there is not one Host.")
    origin = request.field("origin")
    if origin is not None and origin not in site.origins:
        raise Refusal(HTTPStatus.FORBIDDEN, "Other origins are not served.")
    if request.field("sec-fetch-site") not in (None, "same-origin", "same-site", "none"):
        _refuse_unless_followed_link(request)


def _refuse_unless_followed_link(request: Request) -> None:
    """A link on another site may lead to the page itself, and to nothing else."""
    how = (request.target, request.field("sec-fetch-mode"), request.field("sec-fetch-dest"))
    if how != (b"/", "navigate", "document"):
        raise Refusal(HTTPStatus.FORBIDDEN, "Requests from other sites are not served.")
