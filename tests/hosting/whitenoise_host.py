"""WhiteNoise, somebody else's static server, on an exported site under a path; hosts.py starts it.

The fields that it adds are read from the site's `_headers`, by the rules that the hosts publish for that file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from wsgiref.headers import Headers

import waitress
from whitenoise import WhiteNoise

PATH = "some/path"


def main(folder: str, options: str) -> None:
    """`options`: {"fields": whether to send those of `_headers`, "types": media types by suffix}, as JSON."""
    site, settings = Path(folder), json.loads(options)
    rules = read_headers((site / "_headers").read_text("ascii")) if settings["fields"] else {}

    def add(headers: Headers, path: str, url: str) -> None:
        target = "/" + Path(path).relative_to(site).as_posix()
        for pattern, fields in rules.items():
            for name, value in fields.items() if fnmatchcase(target, pattern) else ():
                headers[name] = value

    files = WhiteNoise(
        missing, root=site, prefix=PATH, index_file=True, mimetypes=settings["types"], add_headers_function=add)
    server = waitress.create_server(files, host="127.0.0.1", port=0, threads=8)
    print(f"http://127.0.0.1:{server.effective_port}/{PATH}/", flush=True)
    server.run()


def read_headers(text: str) -> dict[str, dict[str, str]]:
    """The rules of a `_headers` file: a line with a pattern, then fields, each on an indented line."""
    rules: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line and not line.startswith((" ", "\t", "#")):
            rules[line] = {}
        elif line.strip() and not line.startswith("#"):
            name, value = line.strip().split(":", 1)
            rules[next(reversed(rules))][name] = value.strip()
    return rules


def missing(environ: dict[str, object], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"nothing here"]


if __name__ == "__main__":
    main(*sys.argv[1:])
