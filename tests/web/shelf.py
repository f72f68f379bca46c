"""A folder of models with evidence made by the project's own tools, and copies of it that are served altered."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.adapters.packages import matrices, model_file, package
from tinypylm import canonical
from tinypylm.adapters import PackageFormat, parse_package
from tinypylm.canonical import JsonObject
from tinypylm.provenance import RecordKind, fingerprint, identifier
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evaluation.suites import load_suite
from tinypylm_tools.evidence import adapters, steps
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder, save_record

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

ROOT = Path(__file__).resolve().parents[2]
BASE, STACKED = "plain", "stacked"
FAMILY = "plain-changes"
SUITE = """name = "smoke"
role = "smoke"
scope = "the same text twice"
[decoding]
max_tokens = 4
[[cases]]
id = "one"
task = "repeat"
prompt = "The cat"
"""

Json = Any
"""What a test changes as it likes; the page is what says whether it still is a record."""


def make(folder: Path, kinds: tuple[PackageFormat, PackageFormat] = (PackageFormat.ASP1, PackageFormat.ALR1)) -> Path:
    """`plain` and, the same file with a package of each of `kinds`, `stacked`."""
    folder.mkdir(exist_ok=True)
    (folder / "smoke.toml").write_text(SUITE)
    work = sidecar.Items.of([load_suite(folder / "smoke.toml")], [])
    book = Book(Folder(folder))
    path = folder / f"{BASE}.slm"
    shutil.copy(ROOT / "models" / "fixtures" / "tiny-test-model-q8_0.slm", path)
    steps.admit_import(book, path, work)
    for seed, kind in enumerate(kinds):
        _write_adapter(book.folder, path, kind, seed)
        adapters.evaluate_adapter(book.folder, f"{kind.name.lower()}.{kind.name.lower()}", work)
    stack = [book.folder.adapter(f"{kind.name.lower()}.{kind.name.lower()}") for kind in kinds]
    steps.candidate(book, path, STACKED, "Plain, changed twice")
    steps.evaluate(book, STACKED, work, stack)
    steps.promote(book, STACKED)
    steps.admit(book, STACKED)
    return folder


def _write_adapter(folder: Folder, base: Path, kind: PackageFormat, seed: int) -> None:
    file = model_file(base.read_bytes())
    data = package(file, kind, matrices(file)[1:3], seed, scale=1.0)
    name = kind.name.lower()
    shared: JsonObject = {
        "base_sha256": hashlib.sha256(file.data).hexdigest(),
        "layout_checksum": fingerprint.layout_checksum(file.model),
        "tokenizer_checksum": fingerprint.tokenizer_checksum(file.model, file.data),
    }
    output: JsonObject = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    receipt: JsonObject = {
        "kind": "adapter-receipt", "version": 1, "operator": "combine", "operator_version": 1,
        "parameters": {"format": kind.name, "weights_bits": ["3f800000"]},
        "sources": [{"role": "base", "sha256": shared["base_sha256"]}], "output": output, "tool_version": "test",
        **shared,
    }
    manifest: JsonObject = {
        "kind": "adapter-manifest", "version": 1, "name": name, "label": f"Changes as {kind.name}", "licence": "MIT",
        "format": kind.name, "file": f"{name}.{name}", "family": FAMILY, "scale_bits": struct.pack(">f", 1.0).hex(),
        "tensor_count": len(parse_package(data).entries), "receipt": identifier(RecordKind.ADAPTER_RECEIPT, receipt),
        **output, **shared,
    }
    place = folder.root / "adapters"
    place.mkdir(exist_ok=True)
    (place / f"{name}.{name}").write_bytes(data)
    save_record(place / f"{name}.receipt.json", RecordKind.ADAPTER_RECEIPT, receipt)
    save_record(place / f"{name}.manifest.json", RecordKind.ADAPTER_MANIFEST, manifest)


class Shelf:
    """The bytes under /models/, by path; a page sees them as they are when it asks."""

    def __init__(self, folder: Path):
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def serve(self, page: Page) -> None:
        page.route("**/models/**", self._answer)

    def _answer(self, route: Route) -> None:
        data = self.files.get(unquote(urlsplit(route.request.url).path).partition("/models/")[2])
        if data is None:
            route.fulfill(status=404, body="not found")
        else:
            route.fulfill(body=data, content_type="application/octet-stream")

    def json(self, path: str, change: Callable[[Json], object]) -> None:
        """Changes a record and leaves what pins it alone."""
        body = json.loads(self.files[path])
        change(body)
        self.files[path] = canonical.dumps(body)

    def entry(self, name: str, change: Callable[[Json], object]) -> None:
        """Changes the registry's entry `name`."""
        self.json("selector.registry", lambda body: change(self._named(body, name)))

    def plan(self, name: str, change: Callable[[Json], object]) -> None:
        """Changes the plan of `name`, and the registry pins it as it is now."""
        path = f"evidence/{name}/plan.json"
        self.json(path, change)
        self.entry(name, lambda entry: entry["plan"].update(self.pin(path)))

    def offer(self, name: str, change_plan: Callable[[Json], object], change_entry: Callable[[Json], object]) -> None:
        """Puts another entry beside `stacked`, as it is but for its name and these changes."""
        for path in [path for path in self.files if path.startswith(f"evidence/{STACKED}/")]:
            self.files[path.replace(STACKED, name)] = self.files[path]
        place = f"evidence/{name}/plan.json"
        plan = json.loads(self.files[place].replace(f"/{STACKED}/".encode(), f"/{name}/".encode()))
        plan["name"] = name
        change_plan(plan)
        self.files[place] = canonical.dumps(plan)
        entry = dict(self._named(json.loads(self.files["selector.registry"]), STACKED), id=name)
        entry["plan"] = {"path": place, **self.pin(place)}
        change_entry(entry)
        self.json("selector.registry", lambda body: body["models"].append(entry))

    def pin(self, path: str) -> dict[str, int | str]:
        data = self.files[path]
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    @staticmethod
    def _named(registry: Json, name: str) -> Json:
        (entry,) = (entry for entry in registry["models"] if entry["id"] == name)
        return entry
