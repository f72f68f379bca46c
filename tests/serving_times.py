"""How long serve.py takes to start and to send, and what it holds: `python -m tests.serving_times`, on Linux.

Prints the table of docs/serving.md. Not a test: a busy machine would fail it.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGE_BYTES = 33_554_432
RUNS = 7


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[int, int, float]]:
    """Port, process id, and seconds from the command to the address on its standard output."""
    command = [sys.executable, str(ROOT / "serve.py"), "--port", "0", *arguments]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        address = process.stdout.readline()
        yield int(address.rstrip("/\n").rpartition(":")[2]), process.pid, time.perf_counter() - began
        process.terminate()


def download(port: int, target: str) -> tuple[float, int, int]:
    """Seconds until the last byte, the body's size, and its CRC-32."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        head, _, part = client.recv(65_536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        size, crc = len(part), zlib.crc32(part)
        buffer = bytearray(1 << 20)
        while got := client.recv_into(buffer):
            size += got
            crc = zlib.crc32(memoryview(buffer)[:got], crc)
    return time.perf_counter() - began, size, crc


def memory_kb(process: int, figure: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{figure}:"))


def main() -> None:
    with serving():
        pass  # sets web/vendor up, where it is not
    starts = []
    for _ in range(RUNS):
        with serving() as (_, _, seconds):
            starts.append(seconds)
    print(f"| start, to the address on standard output | {spread(starts)} |")
    with tempfile.TemporaryDirectory() as models:
        data = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
        (Path(models) / "large.slm").write_bytes(data)
        measure_downloads(models, zlib.crc32(data))


def measure_downloads(models: str, crc: int) -> None:
    with serving("--models", models) as (port, process, _):
        first, *_ = download(port, "/models/large.slm")
        print(f"| {LARGE_BYTES:,} bytes, the first time (their SHA-256 is computed) | {first * 1000:.0f} ms |")
        times = [download(port, "/models/large.slm")[0] for _ in range(RUNS)]
        print(f"| the same again | {spread(times)} |")
        before = memory_kb(process, "VmRSS")
        began = time.perf_counter()
        with ThreadPoolExecutor(64) as pool:
            answers = [*pool.map(lambda _: download(port, "/models/large.slm")[1:], range(64))]
        seconds = time.perf_counter() - began
        whole = answers.count((LARGE_BYTES, crc))
        print(f"| 64 of them at once | {whole} arrived whole, in {seconds:.1f} s |")
        peak, after = memory_kb(process, "VmHWM"), memory_kb(process, "VmRSS")
        print("| memory before, at most, and after these | "
              f"{before / 1024:.0f}, {peak / 1024:.0f} and {after / 1024:.0f} MB |")


def spread(seconds: list[float]) -> str:
    low, middle, high = (1000 * value for value in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f})"


if __name__ == "__main__":
    main()
