"""A snapshot of Python freezes the seed of its hashes for many visits; nothing that comes out depends on it."""

from __future__ import annotations

import os
import subprocess
import sys

DIGEST = """
import hashlib
from tests.engine.models import config, neox, random_file
from tinypylm.engine import emit
from tinypylm.format import parse
from tinypylm.memory import plan_memory
digest = hashlib.sha256()
for shape in (config(), neox()):
    data = random_file(shape)
    model = parse(data)
    digest.update(emit(model, plan_memory(model.config, len(data))))
print(digest.hexdigest())
"""


def test_the_emitted_module_is_the_same_for_every_hash_seed(repo_root):
    digests = {
        subprocess.run([sys.executable, "-c", DIGEST], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=repo_root,
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
