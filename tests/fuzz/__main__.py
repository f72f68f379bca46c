"""Coverage-guided fuzzing of one target: `python -m tests.fuzz model -max_total_time=300`.

Needs atheris (`pip install -e .[fuzz]`). What stands behind the target goes to libFuzzer. Inputs that reached
something new are kept in .tests/fuzz/TARGET/, those that failed beside it; a file of either kind given in place of
flags runs alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tinypylm"]):
    from tests.fuzz.seeds import write_seeds
    from tests.fuzz.targets import TARGETS

WORK = Path(__file__).resolve().parents[2] / ".tests" / "fuzz"


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}} [flags of libFuzzer]")
    target, flags = sys.argv[1], sys.argv[2:]
    folder = WORK / target
    write_seeds(target, folder)
    inputs = [] if any(not flag.startswith("-") for flag in flags) else [str(folder)]
    atheris.Setup([sys.argv[0], f"-artifact_prefix={WORK / target}-", *flags, *inputs], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
