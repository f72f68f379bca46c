"""Other people's engines, for comparison only: which versions, which bytes, and the page that runs each.

They are fetched by npm when a benchmark asks for them, kept outside the served folders, and checked against
`peers.lock` as serve.py checks what it vendors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.serving.lock import Package, read_lock
from tinypylm_tools.serving.terminal import Terminal
from tinypylm_tools.serving.vendor import install

from .onnx_model import write_onnx

LOCK_PATH = Path(__file__).with_name("peers.lock")
PAGES = Path(__file__).with_name("pages")
NAMES = ("wllama", "transformers.js")
"""What `--peer` takes."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One release. `label` is its name among figures, `adapter` the script that makes an engine of it, `form` a key
    of FORMS."""

    label: str
    title: str
    packages: tuple[Package, ...]
    adapter: str
    form: str

    def model(self, file: ModelFile, work: Path) -> Path:
        """The folder in `work` that holds the model as this release reads it; made where there is none."""
        folder = work / f"{file.path.stem}.{self.form}"
        if not folder.exists():
            folder.mkdir()
            FORMS[self.form](folder, file)
        return folder

    def routes(self, fetched: Path, model: Path) -> Mapping[str, Path]:
        """What its page is made of, by the path in its site: our scripts, its packages, and the folder of a model."""
        own = {"/": PAGES / "peer.html", "/engine.js": PAGES / "engine.js", "/adapter.js": PAGES / self.adapter}
        files = [file.file for package in self.packages for file in package.files]
        theirs = {f"/package/{file.partition('/')[2]}": fetched / file for file in files}
        return own | theirs | {f"/model/{path.relative_to(model).as_posix()}": path for path in model.rglob("*.*")}


def fetch_peers(names: tuple[str, ...], folder: Path) -> tuple[Peer, ...]:
    """The releases behind `names`, whose packages are in `folder` from now on. Raises ToolError."""
    peers = tuple(peer for name in names for peer in releases(name))
    if peers:
        install(tuple(package for peer in peers for package in peer.packages), folder, Terminal())
    return peers


def releases(name: str) -> tuple[Peer, ...]:
    """Two of wllama, of which the older decodes faster; one of transformers.js, with the runtime that it names."""
    locked = read_lock(LOCK_PATH)
    if name == "wllama":
        return tuple(_wllama(package) for package in locked if package.name == "@wllama/wllama")
    packages = tuple(package for package in locked if package.name in ("@huggingface/transformers", "onnxruntime-web"))
    title = f"transformers.js {packages[0].version}"
    return (Peer(title, title, packages, "transformers.js", "onnx"),)


def _wllama(package: Package) -> Peer:
    major = package.version.partition(".")[0]
    return Peer(package.version, f"wllama {package.version}", (package,), f"wllama-{major}.js", "gguf")


def _write_gguf(folder: Path, file: ModelFile) -> None:
    export_gguf(file, folder / "model.gguf")


FORMS: Mapping[str, Callable[[Path, ModelFile], None]] = {"gguf": _write_gguf, "onnx": write_onnx}
