"""How files are sent: types, validators, ranges, HEAD; and that only the files that the walk saw are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest

from tests.serving.small_site import MODEL, Running
from tinypylm_tools.serving.limits import Limits
from tinypylm_tools.serving.routes import build_routes

ETAG = f'"sha256-{hashlib.sha256(MODEL).hexdigest()}"'
SIZE = len(MODEL)


@pytest.mark.parametrize(
    ("target", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/views/a.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/engine.wasm", "application/wasm"),
        ("/models/a.slm", "application/octet-stream"),
        ("/models/selector.registry", "application/json"),
        ("/models/%C3%BC%20b.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_is_served_whole_with_its_own_type(site: Running, target: str, media_type: str) -> None:
    answer = site.get(target)
    assert (answer.status, answer.fields["content-type"]) == (200, media_type)
    assert len(answer.body) == int(answer.fields["content-length"])


def test_a_query_does_not_change_what_is_served(site: Running) -> None:
    assert site.get("/main.js?v=%zz/../").body == site.get("/main.js").body


def test_an_empty_file_is_served(site: Running) -> None:
    answer = site.get("/models/empty.slm")
    assert (answer.status, answer.body, answer.fields["content-length"]) == (200, b"", "0")


def test_http_1_0_is_answered(site: Running) -> None:
    assert site.ask("GET /models/a.slm HTTP/1.0").body == MODEL


@pytest.mark.parametrize("target", ["/models/a.slm", "/nothing"])
def test_head_has_the_fields_of_get_and_no_body(site: Running, target: str) -> None:
    get, head = site.get(target), site.ask(f"HEAD {target} HTTP/1.1")
    for answer in (get, head):
        del answer.fields["date"]
    assert (head.status, head.fields, head.body) == (get.status, get.fields, b"")


def test_the_etag_is_the_sha_256_of_the_file(site: Running) -> None:
    assert site.get("/models/a.slm").fields["etag"] == ETAG


@pytest.mark.parametrize("known", [ETAG, "*", f"W/{ETAG}", f'"other", {ETAG}', f'"other"\r\nIf-None-Match: {ETAG}'])
def test_a_client_that_has_the_file_is_told_so(site: Running, known: str) -> None:
    answer = site.get("/models/a.slm", f"If-None-Match: {known}", "Range: bytes=0-1")
    assert (answer.status, answer.body, answer.fields["etag"]) == (304, b"", ETAG)


@pytest.mark.parametrize("known", ['"other"', "", ETAG.strip('"')])
def test_a_client_that_has_another_file_gets_this_one(site: Running, known: str) -> None:
    assert site.get("/models/a.slm", f"If-None-Match: {known}").body == MODEL


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("0-0", 0, 1),
        ("0-107", 0, 108),
        ("1000-", 1000, SIZE),
        (f"1000-{SIZE - 1}", 1000, SIZE),
        ("1000-999999999999", 1000, SIZE),
        ("-1", SIZE - 1, SIZE),
        ("-999999999999", 0, SIZE),
        (f"{SIZE - 1}-", SIZE - 1, SIZE),
    ],
)
def test_one_range_is_served_alone(site: Running, wanted: str, start: int, end: int) -> None:
    answer = site.get("/models/a.slm", f"Range: bytes={wanted}")
    assert (answer.status, answer.body) == (206, MODEL[start:end])
    assert answer.fields["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.fields["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", [f"{SIZE}-", "9999999999-9999999999", "-0", "-00"])
def test_a_range_without_a_byte_of_the_file_is_refused_with_its_size(site: Running, wanted: str) -> None:
    answer = site.get("/models/a.slm", f"Range: bytes={wanted}")
    assert (answer.status, answer.fields["content-range"]) == (416, f"bytes */{SIZE}")


def test_a_range_of_an_empty_file_is_refused(site: Running) -> None:
    assert site.get("/models/empty.slm", "Range: bytes=0-").status == 416


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,3-4", "bytes=0-1\r\nRange: bytes=3-4", "bytes=5-4", "bytes=-", "bytes=", "bytes= 0-1", "bytes=0-1 x",
        "items=0-1", "bytes=+0-1", "bytes=0x0-1", "bytes=\xb2-\xb3", "0-1", "bytes=" + "9" * 5000 + "-",
    ],
)  # fmt: skip
def test_several_ranges_or_other_units_are_ignored(site: Running, wanted: str) -> None:
    answer = site.get("/models/a.slm", f"Range: {wanted}")
    assert (answer.status, answer.body) == (200, MODEL)


def test_a_range_of_head_is_ignored(site: Running) -> None:
    answer = site.ask("HEAD /models/a.slm HTTP/1.1", "Range: bytes=0-1")
    assert (answer.status, answer.fields["content-length"]) == (200, str(SIZE))


@pytest.mark.parametrize(
    ("validator", "status"),
    [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Mon, 23 Nov 2026 00:00:00 GMT", 200)],
)
def test_a_range_holds_only_for_the_file_that_if_range_names(site: Running, validator: str, status: int) -> None:
    assert site.get("/models/a.slm", "Range: bytes=0-1", f"If-Range: {validator}").status == status


def test_the_table_holds_regular_files_with_a_type_of_ours_and_the_page_twice(site: Running) -> None:
    routes = build_routes(site.root / "web", site.root / "models")
    assert set(routes) == {
        "/", "/index.html", "/main.js", "/worker.js", "/views/a.mjs", "/vendor/engine.wasm", "/models/ü b.txt",
        "/models/a.slm", "/models/empty.slm", "/models/large.slm", "/models/selector.registry",
    }  # fmt: skip
    assert routes["/"] is routes["/index.html"]


def test_a_link_swapped_in_after_the_start_is_not_followed(start: Callable[[Limits], Running]) -> None:
    site = start(Limits(linger_s=0.2))
    assert site.get("/main.js").status == 200
    (site.root / "web/main.js").unlink()
    (site.root / "web/main.js").symlink_to(site.root / "secret.txt")
    assert site.get("/main.js").status == 404
    assert "start it again" in site.log[-1]


def test_a_link_to_the_very_file_is_not_followed_either(start: Callable[[Limits], Running]) -> None:
    site = start(Limits(linger_s=0.2))
    (site.root / "web/main.js").rename(site.root / "web/moved.js")
    (site.root / "web/main.js").symlink_to(site.root / "web/moved.js")
    assert site.get("/main.js").status == 404


def test_a_folder_swapped_for_a_link_after_the_start_is_not_followed(start: Callable[[Limits], Running]) -> None:
    site = start(Limits(linger_s=0.2))
    elsewhere = site.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.mjs").write_bytes(b"export {};")
    (site.root / "web/views").rename(site.root / "web/before")
    (site.root / "web/views").symlink_to(elsewhere)
    assert site.get("/views/a.mjs").status == 404


@pytest.mark.parametrize("become", ["edited", "removed", "pipe", "folder"])
def test_a_file_that_is_no_longer_the_one_of_the_start_is_missing(
    start: Callable[[Limits], Running], become: str
) -> None:
    site = start(Limits(linger_s=0.2))
    file = site.root / "web/main.js"
    if become == "edited":
        file.write_bytes(b"export{ };")
        os.utime(file, ns=(0, 0))
    else:
        file.unlink()
    if become == "pipe":
        os.mkfifo(file)
    if become == "folder":
        file.mkdir()
    assert site.get("/main.js").status == 404
