"""The command line of `serve.py`."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import signal
import socket
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from tinypylm.errors import SlmError

from .admission import site_of
from .connection import Service
from .limits import Limits
from .lock import LOCK_PATH, read_lock, write_lock
from .place import Place
from .routes import build_routes
from .server import Server, listen, port_of
from .terminal import Terminal
from .vendor import complete, relock

_FIRST_START = " The first start fetches Pyodide and micropip."
_INTERRUPTED = 130  # what shells call a command that Ctrl-C ended


def main(place: Place, arguments: Sequence[str] | None = None, program: str = "serve.py") -> int:
    """Set up, serve until Ctrl-C, and return the exit status."""
    options = _parser(program, is_clone=place.tree is not None).parse_args(arguments)
    terminal = Terminal()
    _on_interruption(signal.default_int_handler)
    try:
        if place.tree and options.lock:
            return _lock(terminal)
        if options.models:
            place = place.with_models(options.models)
        return _check(place, terminal) if options.check else _serve(place, options, terminal)
    except SlmError as error:
        terminal.say(str(error))
        return 1
    except KeyboardInterrupt:
        terminal.say("interrupted; nothing was left half-installed")
        return _INTERRUPTED


def _parser(program: str, *, is_clone: bool) -> argparse.ArgumentParser:
    called = f"python {program}" if program.endswith(".py") else program
    parser = argparse.ArgumentParser(
        prog=program,
        description="Serve TinyPyLM's page on this machine." + is_clone * _FIRST_START,
        epilog=f"  Example:\n    {called} --port 8080 --open",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=8000, help="0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--host", type=_addresses, default=("127.0.0.1",),
        help="127.0.0.1 (default), ::1, or localhost for both; another one needs --unsafe-bind",
    )  # fmt: skip
    parser.add_argument(
        "--unsafe-bind", action="store_true", help="allow a --host that other machines can reach"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER", help="offer the models of this folder's selector.registry"
    )
    parser.add_argument(
        "--no-isolation", action="store_true",
        help="send neither COOP nor COEP: the page as hosts without these headers show it, with one thread",
    )  # fmt: skip
    parser.add_argument(
        "--check", action="store_true",
        help="compare every served file with the runtime manifest and the registry, and end with status 0 or 1",
    )  # fmt: skip
    if is_clone:
        parser.add_argument(
            "--lock", action="store_true",
            help=f"fetch the versions that {LOCK_PATH.name} names, write their digests into it, and end",
        )  # fmt: skip
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to 65535 was expected")
    return int(text)


def _addresses(text: str) -> tuple[str, ...]:
    if text == "localhost":
        return ("127.0.0.1", "::1")
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither an IP address nor localhost") from None


def _serve(place: Place, options: argparse.Namespace, terminal: Terminal) -> int:
    foreign = [host for host in options.host if not ipaddress.ip_address(host).is_loopback]
    if foreign and not options.unsafe_bind:
        terminal.say(f"{foreign[0]} can be reached from other machines. Add --unsafe-bind if that is wanted.")
        return 2
    with contextlib.ExitStack() as opened:
        # A busy port is reported before anything is fetched.
        listeners = [opened.enter_context(listener) for listener in listen(options.host, options.port)]
        complete(place, terminal)
        server = Server(listeners, _service(place, listeners, options, terminal))
        _on_interruption(lambda *_: server.stop())
        _announce(listeners, options)
        server.run()
    terminal.say("stopped")
    return 0


def _on_interruption(handle: Callable[[int, FrameType | None], object]) -> None:
    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def _service(
    place: Place, listeners: Sequence[socket.socket], options: argparse.Namespace, terminal: Terminal
) -> Service:
    site = site_of(port_of(listeners), *map(_bracketed, options.host))
    routes = build_routes(place.web, place.models)
    return Service(site, routes, Limits(), terminal.say, isolated=not options.no_isolation)


def _check(place: Place, terminal: Terminal) -> int:
    from .check import check  # noqa: PLC0415 - importing the chain of evidence takes as long as a server's start

    findings = check(place)
    for problem in findings.problems:
        terminal.say(problem)
    if findings.unpinned:
        terminal.say(f"served, though nothing pins it: {', '.join(findings.unpinned)}")
    outcome = f"{len(findings.problems)} do not agree" if findings.problems else "all agree"
    print(f"{findings.files} files, {findings.size_bytes:,} bytes: {outcome}")
    return int(bool(findings.problems))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _announce(listeners: Sequence[socket.socket], options: argparse.Namespace) -> None:
    address = f"http://{_bracketed(options.host[0])}:{port_of(listeners)}/"
    print(address, flush=True)
    if options.open:
        webbrowser.open(address)


def _lock(terminal: Terminal) -> int:
    write_lock(relock(read_lock(), terminal))
    terminal.say(f"wrote {LOCK_PATH}")
    return 0
