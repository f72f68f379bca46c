"""Evidence brought up to date: the steps to an admission that are missing, or all that measure, with today's engine.

What people decided stays: name, label, how many candidates were tried and what selected them, stack, scope of quality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.derivation import Stacked
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evaluation.defaults import default_items
from tinypylm_tools.evidence import steps
from tinypylm_tools.evidence.adapters import evaluate_adapter
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.walk import verify

OnStep = Callable[[str, str], None]
"""Told the name and the step before it is done."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """again: evaluate and promote also where the records hold; run: how a bare model is run."""

    book: Book
    again: bool
    on_step: OnStep
    run: sidecar.Run

    def admit(self, name: str, model: Path) -> JsonObject:
        """Admits `model` as `name`, after the steps that are missing; its entry. Raises SlmError."""
        missing = steps.missing_steps(self.book.folder, name, model)
        for step in steps.STEPS:
            if step in missing or (self.again and step != "candidate"):
                self.on_step(name, step)
                self._do(step, name, model)
        entry = steps.admit(self.book, name)
        verify(self.book.folder, name)
        return entry

    def admit_all(self) -> Iterator[JsonObject]:
        """Every entry of the folder that is not in quarantine; with `again`, after the packages. Raises SlmError."""
        folder = self.book.folder
        if self.book.registry() is None:
            raise ToolError(ErrorCode.NO_EVIDENCE, f"{folder.registry} is missing, so {folder.root} offers nothing; "
                            "name its models to admit them.", {"path": str(folder.registry)})
        for manifest in folder.adapter_manifests() if self.again else ():
            package = str(manifest["file"])
            self.on_step(package, "evaluation")
            evaluate_adapter(folder, package, default_items(folder.root), self.run)
        for entry in self.book.entries():
            if entry["enabled"]:
                yield self.admit(str(entry["id"]), folder.root / str(entry["file"]))

    def _do(self, step: str, name: str, model: Path) -> None:
        if step == "candidate":
            steps.candidate(self.book, model, name)
        elif step == "evaluation":
            stack, work = _as_before(self.book, name)
            steps.evaluate(self.book, name, work, stack, run=self.run)
        else:
            steps.promote(self.book, name)


def _as_before(book: Book, name: str) -> tuple[Sequence[Stacked], sidecar.Items]:
    """The stack and the scope of the evaluation that there is; where none can be read, the entry's stack."""
    folder = book.folder
    work = default_items(folder.root)
    try:
        before = folder.load("evaluation", name)
    except (ToolError, ProvenanceError):
        adapters = next((items(entry["adapters"]) for entry in book.entries() if entry["id"] == name), [])
        return [folder.adapter(str(one["file"]), str(one["scale_bits"])) for one in map(fields, adapters)], work
    stack = [folder.adapter_of(fields(adapter)) for adapter in items(before["adapters"])]
    return stack, replace(work, quality_scope=str(before["quality_scope"]))
