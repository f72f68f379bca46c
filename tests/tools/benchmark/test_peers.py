"""Peers: what is locked, what is refused, and the site that their pages come from."""

from __future__ import annotations

import re
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.serving.clone import NPM
from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.bench_models import Shape, random_model
from tinypylm_tools.benchmark.peers import PAGES, Peer, fetch_peers, releases
from tinypylm_tools.benchmark.site import peer_site
from tinypylm_tools.model_file import open_model


def put_npm_on_the_path(folder: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> None:
    """An npm that hands out one archive, whatever it is asked for."""
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in members.items():
            (folder / "member").write_bytes(data)
            tar.add(folder / "member", f"package/{name}")
    script = folder / "npm"
    behaviour = f'shutil.copy("{archive}", os.getcwd())'
    script.write_text(NPM.format(python=sys.executable, calls=folder / "npm-calls", behaviour=behaviour))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def every_release() -> list[Peer]:
    return [*releases("wllama"), *releases("transformers.js")]


def test_two_releases_of_wllama_are_told_apart_by_their_versions() -> None:
    assert [(peer.label, peer.title) for peer in releases("wllama")] == [
        ("3.8.1", "wllama 3.8.1"), ("2.3.1", "wllama 2.3.1")]


@pytest.mark.parametrize("peer", every_release(), ids=lambda peer: peer.title)
def test_a_peer_s_page_is_made_of_our_scripts_its_packages_and_the_model(peer: Peer, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    routes = dict(peer.routes(tmp_path / "fetched", model))
    assert routes.pop("/model/weights.bin") == model / "weights.bin"
    theirs = {path for path in routes if path.startswith("/package/")}
    assert all(tmp_path / "fetched" in routes[path].parents for path in theirs)
    assert set(routes) - theirs == {"/", "/engine.js", "/adapter.js"}
    assert all(routes[path].is_file() and routes[path].parent == PAGES for path in set(routes) - theirs)


@pytest.mark.parametrize("peer", every_release(), ids=lambda peer: peer.title)
def test_a_peer_s_script_names_only_files_that_are_fetched(peer: Peer, tmp_path: Path) -> None:
    script = (PAGES / peer.adapter).read_text()
    named = set(re.findall(r"package/([\w./-]+\.(?:js|wasm))", script))
    assert named <= {path.removeprefix("/package/") for path in peer.routes(tmp_path, tmp_path)}


@pytest.mark.parametrize("peer", every_release(), ids=lambda peer: peer.title)
def test_a_model_is_written_once_in_the_form_that_the_peer_reads(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "tiny.slm").write_bytes(random_model(Shape(64, 1, 2, 1, 64, 300, 32), DType.Q8_0))
    file = open_model(tmp_path / "tiny.slm")
    folder = peer.model(file, tmp_path)
    (written,) = (path for path in folder.rglob("*") if path.suffix in (".gguf", ".onnx"))
    before = written.stat()
    assert peer.model(file, tmp_path) == folder
    assert written.stat().st_mtime_ns == before.st_mtime_ns


def test_a_package_with_other_bytes_than_the_locked_ones_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm_on_the_path(tmp_path, monkeypatch, {"esm/index.js": b"something else"})
    with pytest.raises(ToolError) as raised:
        fetch_peers(("wllama",), tmp_path / "peers")
    assert raised.value.code is ErrorCode.DIGEST_MISMATCH
    assert not list((tmp_path / "peers").rglob("index.js"))


def test_without_peers_nothing_is_fetched(tmp_path: Path) -> None:
    assert fetch_peers((), tmp_path / "peers") == ()
    assert not (tmp_path / "peers").exists()


def test_a_site_isolates_its_page_and_serves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "code.wasm").write_bytes(b"\0asm")
    with peer_site({"/code.wasm": tmp_path / "code.wasm"}) as address:
        with urllib.request.urlopen(f"{address}code.wasm?threads=2") as reply:
            assert reply.read() == b"\0asm"
            assert reply.headers["Content-Type"] == "application/wasm"
            assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert reply.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{address}../code.wasm")
        assert raised.value.code == 404
        raised.value.close()
