"""The files and folders of a run, and the claim that keeps a second process out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.serving.exclusive import only_one
from tinypylm_tools.slm_writer import make_folder

_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Places:
    """The description's file, the folder of the texts, the run's own folder, the models to start and to learn from."""

    description: Path
    data: Path
    folder: Path
    parent: Path | None
    teachers: tuple[Path, ...] = ()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """The run's folder, made if need be, this process's alone. Raises ToolError where another one trains."""
        make_folder(self.folder)
        with only_one(self.folder / _LOCK, self._refuse):
            yield

    def _refuse(self) -> None:
        raise ToolError(ErrorCode.RUN_MISMATCH, f"another process trains in {self.folder}; expected a folder for this "
                        "one. Wait for it, end it, or take another folder.", {"file": str(self.folder)})
