"""`python serve.py` on the command line: options, ports, and what goes to which stream."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.serving.raw_http import ISOLATION, read_all
from tinypylm.errors import ErrorCode


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "serve.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_port_in_use_gives_one_line_and_the_option_that_helps(repo_root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = run(repo_root, "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    advice = f"Try another: --port {port % 65_535 + 1} (0 picks a free one)"
    assert done.stderr == f"Port {port} on 127.0.0.1 is in use. {advice}\n"


def test_an_address_that_is_not_this_machine_s_gives_one_line(repo_root: Path) -> None:
    done = run(repo_root, "--host", "192.0.2.1", "--unsafe-bind", "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("Port 0 on 192.0.2.1 cannot be used (")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_needs_a_second_option(repo_root: Path, host: str) -> None:
    done = run(repo_root, "--host", host)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--unsafe-bind" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "http"], ["--port", "0000000999999"],
                  ["--host", "example.com"], ["--prot", "1"]]
)
def test_an_argument_that_means_nothing_is_refused(repo_root: Path, arguments: list[str]) -> None:
    done = run(repo_root, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"serve.py: error: {'un' if arguments[0] == '--prot' else ''}" in done.stderr


def test_open_opens_the_address_in_the_browser(repo_root: Path, server: str, tmp_path: Path) -> None:
    assert server  # it has set web/vendor up
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part; mv {tmp_path}/opened.part {tmp_path}/opened\n')
    script.chmod(0o755)
    command = [sys.executable, str(repo_root / "serve.py"), "--port", "0", "--open"]
    environment = os.environ | {"BROWSER": f"{script} %s"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as one:
        assert one.stdout
        address = one.stdout.readline()
        while not (tmp_path / "opened").exists():
            time.sleep(0.02)
        one.terminate()
    assert (tmp_path / "opened").read_text() == address


@pytest.mark.parametrize(("arguments", "isolated"), [([], True), (["--no-isolation"], False)])
def test_isolation_is_sent_unless_it_is_declined(
    repo_root: Path, server: str, arguments: list[str], isolated: bool
) -> None:
    assert server
    command = [sys.executable, str(repo_root / "serve.py"), "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as one:
        assert one.stdout
        host = one.stdout.readline().rstrip("/\n").removeprefix("http://")
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2]))) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            head = read_all(client).partition(b"\r\n\r\n")[0].decode().lower()
        one.terminate()
    assert [f"\r\n{name}: " in head for name in ISOLATION] == [isolated] * 2
    assert "\r\ncontent-security-policy: default-src 'none'" in head


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_clean(repo_root: Path, server: str, how: signal.Signals) -> None:
    assert server  # it has set web/vendor up
    command = [sys.executable, str(repo_root / "serve.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as process:
        assert process.stdout
        address = process.stdout.readline()
        with socket.create_connection(("127.0.0.1", int(address.rstrip("/\n").rpartition(":")[2]))):
            process.send_signal(how)
            assert process.communicate(timeout=5) == ("", "stopped\n")
    assert process.returncode == 0


def test_a_python_that_is_too_old_can_read_as_far_as_the_message(repo_root: Path) -> None:
    """Neither f-strings nor annotations: the oldest grammar that this Python still knows accepts the file."""
    ast.parse((repo_root / "serve.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    assert 'f"' not in (repo_root / "serve.py").read_text(encoding="utf-8")


def test_every_option_and_error_code_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "serving.md").read_text(encoding="utf-8")
    options = re.findall(r"--[a-z-]+", run(repo_root, "--help").stdout)
    serving = repo_root / "tools" / "tinypylm_tools" / "serving"
    sources = [*serving.glob("*.py"), serving.parent / "browser.py"]
    codes = {code for source in sources for code in re.findall(r"ErrorCode\.(\w+)", source.read_text(encoding="utf-8"))}
    assert codes
    assert [name for name in {*options} - {"--help"} if f"| `{name}" not in text] == []
    assert [code for code in codes if f"| `{ErrorCode[code]}` |" not in text] == []


def test_every_status_that_refuses_is_documented(repo_root: Path) -> None:
    text = (repo_root / "docs" / "serving.md").read_text(encoding="utf-8")
    sources = (repo_root / "tools/tinypylm_tools/serving").glob("*.py")
    names = {name for source in sources for name in re.findall(r"Refusal\(\s*HTTPStatus\.(\w+)", source.read_text())}
    assert len(names) > 10
    assert [name for name in names if f"| {HTTPStatus[name].value}" not in text] == []
