"""What a wheel holds besides code: the page, Pyodide and small models, as `tinypylm export site` writes them.

The rest of the build is in pyproject.toml. Pyodide comes as it does for serve.py: checked against vendor.lock, and only
fetched where web/vendor/ lacks it.
"""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "runtime"), str(ROOT / "tools")]

from tinypylm_tools.serving.place import INSIDE, place_of_tree  # noqa: E402 - found through the line above
from tinypylm_tools.serving.site import write_inside  # noqa: E402
from tinypylm_tools.serving.terminal import Terminal  # noqa: E402
from tinypylm_tools.serving.vendor import set_up  # noqa: E402


class BuildWithSite(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # an editable install serves the clone itself
            set_up(ROOT, Terminal())
            write_inside(place_of_tree(ROOT), Path(self.build_lib) / "tinypylm_tools" / INSIDE)


setup(cmdclass={"build_py": BuildWithSite})
