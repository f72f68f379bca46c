"""Which requests are refused, each with its status: literal bytes on a socket, in the order in which rules answer."""

from __future__ import annotations

import pytest

from tests.serving.raw_http import ask
from tests.serving.small_site import Running

OUTRIGHT = [
    (b"GET / HTTP/1.1\nHost: HOST\n\n", 400, "bare LF"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\n\r\n\r\n", 400, "bare LF in a field"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\rc\r\n\r\n", 400, "bare CR"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\0c\r\n\r\n", 400, "NUL"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\x7fc\r\n\r\n", 400, "DEL"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\tc\r\n\r\n", 400, "tab"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nA: b\r\n c\r\n\r\n", 400, "folded line"),
    (b"GET / HTTP/1.1\r\n Host: HOST\r\n\r\n", 400, "space before the first name"),
    (b"GET / HTTP/1.1\r\nHost : HOST\r\n\r\n", 400, "space after a name"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nno colon\r\n\r\n", 400, "no colon"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\n: nameless\r\n\r\n", 400, "empty name"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nn\xc3\xa4me: x\r\n\r\n", 400, "name beyond ASCII"),
    (b"\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, "empty first line"),
    (b"GET  / HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, "two spaces"),
    (b"GET / HTTP/1.1 \r\nHost: HOST\r\n\r\n", 400, "trailing space"),
    (b"GET /\r\nHost: HOST\r\n\r\n", 400, "HTTP/0.9"),
    (b"GET / http/1.1\r\nHost: HOST\r\n\r\n", 400, "lower-case version"),
    (b"GET / HTTP/1.10\r\nHost: HOST\r\n\r\n", 400, "version of three digits"),
    (b"G(T / HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, "method that is no token"),
    (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, "target beyond ASCII"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "TLS"),
    (b"GET / HTTP/1.2\r\nHost: HOST\r\n\r\n", 505, "version to come"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2 preface"),
    (b"GET /" + b"a" * 2_048 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", 414, "target over 2 KiB"),
    (b"GET /" + b"a" * 8_192 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", 414, "request line over 8 KiB"),
    (b"GET /" + b"a" * 16_384, 414, "request line without an end"),
    (b"GET / HTTP/1.1\r\nA: " + b"a" * 8_192 + b"\r\n\r\n", 431, "field over 8 KiB"),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", 431, "65 fields"),
    (b"GET / HTTP/1.1\r\n" + (b"A: " + b"a" * 4_000 + b"\r\n") * 5, 431, "head over 16 KiB"),
    (b"GET / HTTP/1.1\r\n\r\n", 421, "no Host"),
    (b"GET / HTTP/1.0\r\n\r\n", 421, "no Host in 1.0"),
    (b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", 421, "two Hosts"),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421, "Host without the port"),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 421, "Host with another port"),
    (b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", 421, "another Host"),
    (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", 421, "empty Host"),
]


@pytest.mark.parametrize(("request_bytes", "status"), [row[:2] for row in OUTRIGHT], ids=[row[2] for row in OUTRIGHT])
def test_a_malformed_or_misdirected_head_gets_its_status(site: Running, request_bytes: bytes, status: int) -> None:
    assert ask(site.port, request_bytes.replace(b"HOST", b"127.0.0.1:%d" % site.port)).status == status


REFUSED_FIELDS = [
    ("Transfer-Encoding: chunked", 400),
    ("Transfer-Encoding: identity", 400),
    ("Upgrade: websocket", 400),
    ("Trailer: X", 400),
    ("Expect: 100-continue", 417),
    ("Content-Length: 5", 413),
    ("Content-Length: 00", 413),
    ("Content-Length: +0", 413),
    ("Content-Length: 0\r\nContent-Length: 0", 413),
    ("Content-Length: 0, 0", 413),
    ("Content-Length:", 413),
    ("Origin: http://example.com", 403),
    ("Origin: null", 403),
    ("Origin:", 403),
    ("Origin: http://localhost:1", 403),
    ("Sec-Fetch-Site: cross-site", 403),
    ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site", 403),
    ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe", 403),
    ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document", 403),
]


@pytest.mark.parametrize(("fields", "status"), REFUSED_FIELDS)
def test_a_field_that_promises_a_body_or_tells_of_another_site_is_refused(
    site: Running, fields: str, status: int
) -> None:
    assert site.get("/", fields).status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_the_loopback_names_with_the_port_are_this_server(site: Running, host: str) -> None:
    assert ask(site.port, f"GET / HTTP/1.1\r\nHost: {host}:{site.port}\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 0",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
        "Cookie: other=server\xe9",
        "Empty:",
        "\r\n".join(f"X-{number}: y" for number in range(63)),
    ],
)
def test_what_browsers_send_is_served(site: Running, fields: str) -> None:
    assert site.get("/", fields).status == 200


def test_the_own_origin_is_served(site: Running) -> None:
    assert site.get("/main.js", f"Origin: http://localhost:{site.port}").status == 200


def test_a_link_on_another_site_leads_to_the_page_and_to_no_other_file(site: Running) -> None:
    followed = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document"
    assert site.get("/", followed).status == 200
    assert site.get("/models/a.slm", followed).status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "BREW"])
def test_other_methods_are_told_which_are_allowed(site: Running, method: str) -> None:
    answer = site.ask(f"{method} / HTTP/1.1", "Content-Length: 3")
    assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD")


BAD_TARGETS = [
    "*", "index.html", "http://127.0.0.1/", "//index.html", "/views//a.mjs", "/./index.html", "/../secret.txt",
    "/views/../index.html", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%252e%252e/secret.txt", "/%25", "/%",
    "/%2", "/%zz", "/%ff", "/%c0%ae%c0%ae/secret.txt", "/%00", "/index.html%00.js", "/%0d%0aX:%20y", "/a%7f",
    "/%c2%85", "/views\\a.mjs", "/views%5ca.mjs", "/c:/windows", "/C%3A/windows", "/index.html::$DATA", "/.hidden.js",
    "/%2ehidden.js", "/main.js.", "/main.js%20", "/views./a.mjs", "/con", "/CON.js", "/views/nul.txt", "/com1",
    "/LPT9.slm", "/com%c2%b2.js", "/conin$", "/a#b", "/...",
]  # fmt: skip


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_a_target_without_one_plain_spelling_is_refused(site: Running, target: str) -> None:
    assert site.get(target).status == 400


MISSES = [
    "/nothing", "/Index.html", "/INDEX.HTML", "/index.html/", "/views", "/views/", "/models/", "/web/index.html",
    "/notes.unknown", "/notes.md", "/tsconfig.json",
    "/link.js", "/linked/secret.txt", "/linked/models/a.slm", "/secret.txt", "/serve.py", "/console",
]  # fmt: skip


@pytest.mark.parametrize("target", MISSES)
def test_what_is_not_in_the_table_is_missing_with_one_body_for_all(site: Running, target: str) -> None:
    answer = site.get(target)
    assert (answer.status, answer.body) == (404, b"404 Not Found. Nothing is served here.\n")


def test_a_refusal_is_logged_with_the_target_escaped(site: Running) -> None:
    site.log.clear()
    site.get("/\x1b[31m")
    site.get("/%1b[31m'")
    assert site.log == [
        "400  '': The head holds a control character, or a line that does not end in CR LF.",
        "400 GET \"/%1b[31m'\": The target is not a plain absolute path.",
    ]
