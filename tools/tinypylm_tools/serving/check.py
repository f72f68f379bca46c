"""`--check`: every served file against what pins it, the runtime manifest for the page and the registry for models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tinypylm.errors import SlmError
from tinypylm.provenance.registry import LEDGER_PATH, REGISTRY_PATH
from tinypylm.provenance.schema import number
from tinypylm_tools.file_bytes import read_file

from . import pinned
from .place import Place
from .routes import FileChangedError, Route, Routes, build_routes
from .runtime_manifest import MANIFEST_PATH, named_files, opened

Pins = dict[str, tuple[int, str]]
"""Size and SHA-256 by route."""

MODELS = "/models/"
_SELF_PINNED = {f"/{MANIFEST_PATH}", f"{MODELS}{REGISTRY_PATH}", f"{MODELS}{LEDGER_PATH}"}
"""What is sealed, or pinned as a whole: looked at when it is read."""


@dataclass(slots=True)
class Findings:
    """`problems`: a line for each file that is not what pins it. `unpinned`: served, though no page asks for them."""

    files: int = 0
    size_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    unpinned: list[str] = field(default_factory=list)


def check(place: Place) -> Findings:
    """Reads every file that would be served, and changes none."""
    findings = Findings()
    routes = build_routes(place.web, place.models)
    pins = _page_pins(place, findings) | _model_pins(place, routes, findings)
    for target, pin in pins.items():
        _compare(target, routes.get(target), pin, findings)
    for target in sorted(routes.keys() - pins.keys() - _SELF_PINNED - {"/"}):
        if target.startswith(MODELS):
            findings.unpinned.append(target)
        elif pins:
            findings.problems.append(f"{target} is served, but the runtime manifest does not name it")
    if not findings.problems and MODELS + REGISTRY_PATH in routes:
        findings.problems.extend(_unsupported(place))
    return findings


def _unsupported(place: Place) -> Iterator[str]:
    """Entries that their evidence does not support, though every file is the pinned one."""
    data, registry = pinned.read_registry(place.models)
    for entry in pinned.offered(registry):
        try:
            pinned.proven(place.models, data, str(entry["id"]))
        except SlmError as error:
            yield f"{entry['id']}: {error.message}"


def _compare(target: str, route: Route | None, pin: tuple[int, str], findings: Findings) -> None:
    if route is None:
        findings.problems.append(f"{target} is missing")
        return
    try:
        with route.open() as file:
            found = route.bytes, route.sha256(file)
    except FileChangedError as error:
        findings.problems.append(str(error))
        return
    findings.files += 1
    findings.size_bytes += route.bytes
    if found != pin:
        findings.problems.append(
            f"{target} has {found[0]:,} bytes with the SHA-256 {found[1]}, expected {pin[0]:,} with {pin[1]}")


def _page_pins(place: Place, findings: Findings) -> Pins:
    try:
        manifest = opened(read_file(place.web / MANIFEST_PATH))
    except SlmError as error:
        findings.problems.append(f"{error.message} Start serve.py once, which writes it.")
        return {}
    return {f"/{file['path']}": (number(file["bytes"]), str(file["sha256"])) for file in named_files(manifest)}


def _model_pins(place: Place, routes: Routes, findings: Findings) -> Pins:
    if MODELS + REGISTRY_PATH not in routes:
        return {}
    pins: Pins = {}
    try:
        data, registry = pinned.read_registry(place.models)
        for entry in pinned.offered(registry):
            plan = pinned.pins(place.models, data, str(entry["id"])).values()
            pins |= {MODELS + pin.path: (pin.size_bytes, pin.sha256) for pin in plan}
    except SlmError as error:
        findings.problems.append(error.message)
    return pins
