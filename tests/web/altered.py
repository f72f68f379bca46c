"""A page whose own files are other than serve.py's, with a manifest that knows it or one that does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route

from tinypylm.canonical import JsonObject
from tinypylm_tools.serving.runtime_manifest import sealed

WEB = Path(__file__).resolve().parents[2] / "web"


def manifest(change: Callable[[JsonObject], object] = lambda body: None) -> bytes:
    """The runtime manifest after `change`, sealed again."""
    body: JsonObject = json.loads((WEB / "vendor" / "manifest.json").read_bytes())
    del body["checksum"]
    change(body)
    return sealed(body)


def serve_manifest(page: Page | BrowserContext, data: bytes) -> None:
    page.route("**/vendor/manifest.json", lambda route: route.fulfill(body=data, content_type="application/json"))


def replace(page: Page | BrowserContext, path: str, data: bytes) -> None:
    """`data` for the file `path` of the page, with the fields of the true answer."""

    def handle(route: Route) -> None:
        route.fulfill(response=route.fetch(), body=data)

    page.route(lambda url: url.split("?")[0].endswith(f"/{path}"), handle)


def in_the_worker(page: Page | BrowserContext, script: str) -> None:
    """Runs `script` in the worker: its modules look at globals only when they are called."""
    replace_and_name(page, "worker.js", (WEB / "worker.js").read_bytes() + script.encode())


def replace_and_name(page: Page | BrowserContext, path: str, data: bytes) -> None:
    """As `replace`, and the manifest says so: a page of another version, not one that drifted."""

    replace(page, path, data)
    serve_manifest(page, manifest_with({path: data}))


def manifest_with(files: Mapping[str, bytes]) -> bytes:
    """The runtime manifest of a page that has these files in the place of its own."""

    def rename(body: JsonObject) -> None:
        for file in body["files"]:  # type: ignore[union-attr]
            if (data := files.get(file["path"])) is not None:  # type: ignore[arg-type, call-overload, index]
                file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}  # type: ignore[operator]

    return manifest(rename)


def snapshot_name() -> str:
    """The server's snapshot of Python, relative to web/."""
    (path,) = (WEB / "vendor").glob("*.snapshot")
    return f"vendor/{path.name}"


def without_snapshot(page: Page | BrowserContext) -> None:
    """A server that had no Node.js."""

    def forget(body: JsonObject) -> None:
        body["files"] = [file for file in body["files"] if file["path"] != snapshot_name()]  # type: ignore[index, call-overload, union-attr]

    serve_manifest(page, manifest(forget))
