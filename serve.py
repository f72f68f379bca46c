"""Serve TinyPyLM's page on this machine: `python serve.py`. The first start sets everything up."""

# Written so that a Python far too old can still read it and say so.
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the one file that an older Python gets to see
    sys.exit(
        "TinyPyLM needs Python 3.11 or newer; this is Python " + sys.version.split()[0] + ", " + sys.executable
        + ".\nStart serve.py with a newer one, for example: python3.13 serve.py"
    )  # fmt: skip

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(ROOT, "runtime"), os.path.join(ROOT, "tools")]

if __name__ == "__main__":
    from pathlib import Path

    from tinypylm_tools.serving.command import main
    from tinypylm_tools.serving.place import place_of_tree

    sys.exit(main(place_of_tree(Path(ROOT))))
