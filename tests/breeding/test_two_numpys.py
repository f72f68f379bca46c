"""Two versions of NumPy make the same bytes: every operator, family and type, and tensors of more than one chunk.

The other version is fetched by pip into .tests/, once. Where it cannot be, the test says so and does not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.breeding.test_children import CASES
from tinypylm.provenance.operators import OPERATORS

OLDER = ("1.26.4", "2.1.3", "2.3.5")
"""The first of these that is not the one in use and has a wheel for this Python: 1.26 is the oldest that we support."""

DIGESTS = """
from dataclasses import replace
from hashlib import sha256
import numpy
from tests.breeding.families import GIVEN, LLAMA, relative
from tests.breeding.test_children import CASES, child_of
from tinypylm import canonical
from tinypylm.config import DType
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding import breed
large = replace(LLAMA, quantization=DType.Q8_0, vocab_size=4_096)
base, *others = (relative(large, number) for number in range(3))
print(numpy.__version__)
for case in CASES:
    bred = child_of(*case)
    print(*case, sha256(bred.child + canonical.dumps(bred.receipt)).hexdigest())
for name, table in OPERATORS.items():
    bred = breed(name, GIVEN.get(name, {}), others[:table.most], base=base if table.base else None)
    print(name, "large", sha256(bred.child + canonical.dumps(bred.receipt)).hexdigest())
"""


@pytest.fixture(scope="module")
def another_numpy(repo_root: Path) -> Path:
    """A folder with a NumPy of another version."""
    said = ""
    for version in (version for version in OLDER if version != np.__version__):
        folder = repo_root / ".tests" / f"numpy-{version}-{sys.implementation.cache_tag}"
        if folder.is_dir():
            return folder
        fetched = folder.with_name(f"{folder.name}.new")
        installed = install(version, fetched)
        if installed.returncode == 0:
            return fetched.rename(folder)
        said = installed.stderr.strip().rpartition("\n")[2]
    pytest.skip(f"pip brought no other NumPy: {said}")


def install(version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(folder, ignore_errors=True)
    return subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1",
         "--timeout=20", "--no-deps", "--only-binary=:all:", "--target", str(folder), f"numpy=={version}"],
        capture_output=True, text=True, check=False)


def digests(root: Path, first: list[Path], **environment: str) -> tuple[str, list[str]]:
    """NumPy's version, and a line for each child with the digest of its file and receipt."""
    path = os.pathsep.join(map(str, [*first, root, root / "runtime", root / "tools"]))
    environment = os.environ | {"PYTHONPATH": path} | environment
    made = subprocess.run([sys.executable, "-c", DIGESTS], cwd=root, env=environment, capture_output=True, text=True,
                          check=True)
    version, *lines = made.stdout.splitlines()
    return version, lines


@pytest.mark.slow
def test_two_versions_of_numpy_breed_the_same_children(repo_root: Path, another_numpy: Path) -> None:
    version, lines = digests(repo_root, [], PYTHONHASHSEED="0", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    other_version, other_lines = digests(
        repo_root, [another_numpy], PYTHONHASHSEED="12345", OPENBLAS_NUM_THREADS="8", OMP_NUM_THREADS="8")
    assert version == np.__version__ != other_version
    assert lines == other_lines
    assert len(lines) == len(CASES) + len(OPERATORS)
