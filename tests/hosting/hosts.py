"""Other people's static servers: Python's own, which adds nothing, and WhiteNoise, which can be told to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def plain_host(root: Path) -> Iterator[str]:
    """`python -m http.server` on the folder `root`; its address, with a slash at the end."""
    with _running("-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(root)) as line:
        yield f"http://127.0.0.1:{line.split('port ')[1].split(' ')[0]}/"


@contextmanager
def telling_host(site: Path, *, fields: bool = True, types: dict[str, str] | None = None) -> Iterator[str]:
    """WhiteNoise on the folder `site`, with the fields of its `_headers` or without; its address under a path."""
    options = json.dumps({"fields": fields, "types": types})
    with _running("-m", "tests.hosting.whitenoise_host", str(site), options) as line:
        yield line


@contextmanager
def _running(*arguments: str) -> Iterator[str]:
    """The first line that a Python with these arguments prints, while it runs."""
    command = [sys.executable, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        line = process.stdout.readline().strip()
        assert line, f"{command} did not start"
        try:
            yield line
        finally:
            process.terminate()
