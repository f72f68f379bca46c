"""Writes golden.json, the receipts of `runs.py`, anew: `python -m tests.replay.golden`.

Only a change of the bits that is meant calls for it.
"""

from __future__ import annotations

import json

from tests.replay.runs import MODELS, opened, record, stack
from tests.replay.test_receipts import GOLDEN


def main() -> None:
    receipts = {}
    for kind in MODELS:
        for name, adapters in ((kind, ()), (f"{kind} adapted", stack(kind))):
            session = opened(kind, adapters)
            receipts[name] = json.loads(record(session))
            del receipts[name]["runtime_sha256"]
            session.free()
    GOLDEN.write_text(json.dumps(receipts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
