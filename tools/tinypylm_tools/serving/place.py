"""Which folders are served: those of a clone, which set-up keeps complete, or the copy inside an installed package."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError

INSIDE = "site"
"""The folder of the package tinypylm_tools that a built wheel fills: a site as `tinypylm export site` writes it."""


@dataclass(frozen=True, slots=True)
class Place:
    """`tree` is the clone whose web/vendor/ set-up fills; None where everything is there already."""

    web: Path
    models: Path
    tree: Path | None = None

    def with_models(self, models: Path) -> Place:
        """The same page with another folder of models. Raises ToolError (MissingFile)."""
        if not models.is_dir():
            raise ToolError(ErrorCode.MISSING_FILE, f"{models} is no folder. `tinypylm admit FOLDER/MODEL.slm` makes a "
                            "folder that can be served.", {"path": str(models)})
        return replace(self, models=models)


def place_of_tree(root: Path) -> Place:
    return Place(root / "web", root / "models", root)


def place_here() -> Place:
    """The place of the code that runs. Raises ToolError (MissingFile) where it came without a page."""
    package = Path(__file__).resolve().parents[1]
    site, root = package / INSIDE, package.parents[1]
    if (site / "index.html").is_file():
        return Place(site, site / "models")
    if (root / "web" / "index.html").is_file() and (root / "runtime" / "tinypylm").is_dir():
        return place_of_tree(root)
    raise ToolError(ErrorCode.MISSING_FILE, f"there is no page in {site}: this package was built without one. Install "
                    "a wheel that was built from a clone, or run serve.py of a clone.", {"path": str(site)})
