"""`tinypylm verify`: is this file sound, and does its evidence hold? The exit status says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from tinypylm.errors import ErrorCode, ProvenanceError, SlmError, ToolError
from tinypylm.provenance import ProvenanceCode
from tinypylm.selector import Verified
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.quarantine import quarantine
from tinypylm_tools.evidence.walk import entries_of, verify, verify_parents
from tinypylm_tools.model_file import open_model

_NOT_DRIFT = {ProvenanceCode.PARENT_MISSING, ProvenanceCode.ENTRY_DISABLED, ProvenanceCode.ENTRY_UNKNOWN}


@dataclass(slots=True)
class _Report:
    """What is printed: lines as they come, or one JSON object at the end."""

    as_json: bool
    steps: list[dict[str, str]] = field(default_factory=list)

    def step(self, verified: Verified) -> None:
        self.steps.append({"phase": verified.phase, "step": verified.step, "found": verified.found})
        if not self.as_json:
            click.echo(f"  ok  {verified.phase:24} {verified.step:18} {verified.found}")

    def line(self, text: str) -> None:
        if not self.as_json:
            click.echo(text)

    def end(self, code: str | None, message: str) -> None:
        if self.as_json:
            click.echo(json.dumps({"ok": code is None, "code": code, "message": message, "steps": self.steps}))


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--name", help="Walk the evidence of this entry; of every entry that names the file if not given.")
@click.option("--file-only", is_flag=True, help="Check the file by itself, whatever registry lies beside it.")
@click.option("--evidence", "required", is_flag=True, help="Fail where there is no evidence.")
@click.option("--replay", is_flag=True, help="Make a bred model again from its parents, and compare.")
@click.option("--parents", type=click.Path(path_type=Path), multiple=True, metavar="FOLDER",
              help="Where else the parents may lie.")
@click.option("--quarantine", "aside", is_flag=True, help="Move what drifted aside and disable the entry.")
@click.option("--json", "as_json", is_flag=True, help='Print {"ok", "code", "message", "steps"}.')
def command(
    model: Path, name: str | None, file_only: bool, required: bool, replay: bool, parents: tuple[Path, ...],
    aside: bool, as_json: bool,
) -> None:
    """Check the file MODEL against every rule of the format, then the evidence behind it.

    Where the selector.registry beside MODEL has entries for the file, every step of their chain is verified and
    printed; where it has none, the file stands by itself. Exits with 0 only if everything holds, else with 1 and
    the code and the step of the first rule that is broken.

    \b
    Example:
      tinypylm verify models/storyteller-2m-q8_0.slm
      tinypylm verify models/child.slm --replay --parents ../parents
    """
    report, folder = _Report(as_json), Folder(model.parent)
    try:
        names = [] if file_only else _names(folder, model, name, required)
        message = _file(model) if not names or model.is_file() else ""
        report.line(message)
        for called in names:
            report.line(f"{called}:")
            _walk(folder, called, report, parents, replay=replay, aside=aside)
            message = f"{message}; the evidence of {', '.join(names)} holds"
    except SlmError as error:
        report.end(str(error.code), error.message)
        if as_json:
            raise SystemExit(1) from error
        raise
    report.line(f"{len(report.steps)} steps hold" if names else "no evidence: the file stands by itself")
    report.end(None, message)


def _names(folder: Folder, model: Path, name: str | None, required: bool) -> list[str]:
    names = [name] if name else entries_of(folder, model.name)
    if required and not names:
        raise ToolError(ErrorCode.NO_EVIDENCE, f"{folder.registry} has no entry for {model.name}; admit it with "
                        f"`tinypylm admit {model}`", {"file": model.name})
    return names


def _file(model: Path) -> str:
    file = open_model(model)
    return f"{model} is sound: {len(file.data):,} bytes, {len(file.model.tensors)} tensors, sha256 {file.sha256}"


def _walk(
    folder: Folder, name: str, report: _Report, search: Sequence[Path], *, replay: bool, aside: bool
) -> None:
    try:
        assembly = verify(folder, name, report.step)
        verify_parents(folder, assembly.records["receipt"], search, rebuild=replay, on_step=report.step)
    except ProvenanceError as error:
        if not aside or error.code in _NOT_DRIFT:
            raise
        place = quarantine(Book(folder), name, error)
        raise ProvenanceError(error.code, f"{error.message}. Moved aside to {place}; the entry {name!r} is disabled.",
                              {**error.detail, "quarantine": str(place)}) from error
