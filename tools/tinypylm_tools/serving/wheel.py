"""The runtime as a wheel that micropip installs in the page. The same sources give the same bytes anywhere."""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: tinypylm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def build_wheel(root: Path) -> Wheel:
    """The wheel of runtime/tinypylm, named and described as pyproject.toml says.

    Without dependencies: numpy and wasmtime, which pyproject.toml asks for, are for the tools on the host.
    Stored, not compressed: compressors differ between builds of Python, and loopback doesn't mind.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{project['name']}-{project['version']}"
    info = f"{stem}.dist-info"
    members = _sources(root / "runtime")
    if (root / "LICENSE").is_file():
        members[f"{info}/licenses/LICENSE"] = (root / "LICENSE").read_bytes()
    members[f"{info}/METADATA"] = _metadata(project, f"{info}/licenses/LICENSE" in members).encode()
    members[f"{info}/WHEEL"] = _WHEEL.encode()
    members[f"{info}/RECORD"] = _record(members, f"{info}/RECORD").encode()
    return Wheel(f"{stem}-py3-none-any.whl", _archive(members))


def _sources(runtime: Path) -> dict[str, bytes]:
    files = sorted([*runtime.glob("tinypylm/**/*.py"), *runtime.glob("tinypylm/**/py.typed")])
    return {file.relative_to(runtime).as_posix(): file.read_bytes() for file in files}


def _metadata(project: dict[str, str], has_license: bool) -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        f"Requires-Python: {project['requires-python']}",
    ]
    if has_license:
        lines.append("License-File: LICENSE")
    return "\n".join(lines) + "\n"


def _record(members: dict[str, bytes], own_name: str) -> str:
    """PyPA binary distribution format: path, urlsafe SHA-256 without padding, size; its own line is empty."""
    lines = []
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own_name},,"]) + "\n"


def _archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # the host's own number would make the bytes depend on the machine
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()
