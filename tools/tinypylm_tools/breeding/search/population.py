"""The population ledger: JSON Lines, each canonical and chained to the one before by its SHA-256; no clock in it.

    search, then a search-candidate for each one tried, then the search-result

A killed search leaves a whole ledger but for a torn last line, which is dropped: the search goes on behind it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import CanonicalError, ErrorCode, ProvenanceError, ToolError
from tinypylm.provenance.breeding import PARAMETERS
from tinypylm.provenance.schema import (
    NAME,
    SHA256,
    SIZE,
    U64,
    Rule,
    choice,
    fields,
    integer,
    list_of,
    record,
    variants,
)
from tinypylm_tools.breeding.search.engines import Outcome
from tinypylm_tools.breeding.search.evolution import Scored
from tinypylm_tools.breeding.search.genome import Genome
from tinypylm_tools.breeding.search.settings import Settings
from tinypylm_tools.slm_writer import unwritable

_START = "0" * 64
_COUNT = integer()
_SETTINGS = record({
    "seed": U64, "population": SIZE, "generations": SIZE, "operators": list_of(choice(*PARAMETERS), 1),
    "base": list_of(SHA256, 0, 1), "parents": list_of(SHA256, 1), "selection_sha256": SHA256,
    "reported_sha256": SHA256})
_SCORE: dict[str, Rule] = {"sha256": SHA256, "microbits": _COUNT, "bytes": SIZE}


def _line(kind: str, keys: dict[str, Rule]) -> Rule:
    return record({"kind": choice(kind), "version": integer(1, 1), "seq": _COUNT, "prev": SHA256, **keys})


def _given(value: canonical.JsonValue, path: str) -> None:
    """Parameters as in a receipt; the operator's own rules are those of breeding, which made the outcome."""
    for key, item in fields(value).items():
        list_of(integer())(item, f"{path}.{key}") if key == "weights_ppm" else _scalar(item, f"{path}.{key}")


def _scalar(value: canonical.JsonValue, path: str) -> None:
    (NAME if isinstance(value, str) else _COUNT)(value, path)


_OUTCOME = variants("verdict", {
    "scored": record({"verdict": choice("scored"), **_SCORE}),
    "refused": record({"verdict": choice("refused"), "code": NAME})})

LINE = variants("kind", {
    "search": _line("search", {"settings": _SETTINGS}),
    "search-candidate": _line("search-candidate", {
        "generation": _COUNT, "tried": SIZE, "operator": choice(*PARAMETERS), "parameters": _given,
        "outcome": _OUTCOME}),
    "search-result": _line("search-result", {
        "tried": SIZE, "best": SIZE, "selection": record(_SCORE),
        "reported": list_of(record({"role": NAME, **_SCORE}), 2)}),
})


class Population:
    """The ledger of one search, open for appending."""

    def __init__(self, path: Path, settings: Settings):
        self._path = path
        self.scored: list[Scored] = []
        self.result: JsonObject | None = None
        self._seq, self._head = 0, _START
        for line in self._sound_lines():
            self._take(line)
        if self._seq == 0:
            self._append("search", {"settings": settings.record()})
        elif self._first != settings.record():
            raise self._mismatch(0, "was written by a search with other settings; give another folder")

    def candidate(self, number: int, proposed: Genome) -> bool:
        """Whether candidate `number` is there already. Raises ToolError where another one is."""
        if number >= len(self.scored):
            return False
        if self.scored[number].genome != proposed:
            raise self._mismatch(number + 1, "is not the candidate that the settings and the lines before lead to")
        return True

    def add(self, generation: int, genome: Genome, outcome: Outcome) -> None:
        """Writes down one more candidate, on disk when this returns."""
        verdict: JsonObject = {"verdict": "refused", "code": outcome.refused} if outcome.refused else {
            "verdict": "scored", "sha256": outcome.child_sha256, "microbits": outcome.microbits,
            "bytes": outcome.bytes_scored}
        self._append("search-candidate", {
            "generation": generation, "tried": len(self.scored) + 1, "operator": genome.operator,
            "parameters": genome.given, "outcome": verdict})

    def close(self, best: int, selection: JsonObject, reported: Sequence[JsonObject]) -> None:
        """Writes down what the search found."""
        self._append("search-result", {
            "tried": len(self.scored), "best": best + 1, "selection": selection, "reported": [*reported]})

    def _append(self, kind: str, body: JsonObject) -> None:
        line: JsonObject = {"kind": kind, "version": 1, "seq": self._seq, "prev": self._head, **body}
        LINE(line, kind)
        data = canonical.dumps(line)
        try:
            with self._path.open("ab") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Checks one line against those before, and remembers what it says."""
        try:
            line = fields(canonical.loads(data))
            LINE(line, f"line {self._seq}")
        except (CanonicalError, ProvenanceError, AssertionError) as error:
            raise self._mismatch(self._seq, f"is no line of a population ({error})") from error
        if line["seq"] != self._seq or line["prev"] != self._head or self.result is not None:
            raise self._mismatch(self._seq, "does not follow on the line before")
        if self._seq == 0:
            self._first = line.get("settings")
        elif line["kind"] == "search-candidate":
            self.scored.append(_scored(line))
        else:
            self.result = line
        self._seq, self._head = self._seq + 1, hashlib.sha256(data).hexdigest()

    def _sound_lines(self) -> list[bytes]:
        """The whole lines of the file; a torn one at its end is cut off."""
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self._path, whole)
        return data[:whole].splitlines()

    def _mismatch(self, seq: int, words: str) -> ToolError:
        return ToolError(ErrorCode.POPULATION_MISMATCH, f"line {seq} of {self._path} {words}.",
                         {"file": str(self._path), "seq": seq})


def _scored(line: JsonObject) -> Scored:
    outcome = fields(line["outcome"])
    genome = Genome(str(line["operator"]), fields(line["parameters"]))
    if outcome["verdict"] == "refused":
        return Scored(genome, None)
    microbits, size = outcome["microbits"], outcome["bytes"]
    assert isinstance(microbits, int)
    assert isinstance(size, int)
    return Scored(genome, Fraction(microbits, size))
