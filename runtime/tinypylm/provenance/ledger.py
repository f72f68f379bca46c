"""The population ledger: JSON Lines, each line bound to the one before. Reading and checking; appending is the tools'.

A chain by itself shows neither a cut-off end nor lines that were all written anew: the registry pins length and head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.errors import CanonicalError, Detail, ProvenanceError
from tinypylm.provenance.codes import ProvenanceCode
from tinypylm.provenance.schema import NAME, SHA256, choice, integer, number, record, text

LEDGER_CAP_BYTES = 4_194_304
START = "0" * 64
"""`prev` of the first line, and the head of an empty ledger."""

KINDS = ("candidate", "evaluation", "promotion", "admission", "quarantine", "repair")

_LINE = record({
    "seq": integer(0), "prev": SHA256, "kind": choice(*KINDS), "name": NAME, "body": SHA256,
    "time": text(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", "a time as 2026-01-31T23:59:59Z"),
})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `body` is the identifier of a record of this kind; of a repair, the SHA-256 of what was cut off."""

    seq: int
    prev: str
    kind: str
    name: str
    body: str
    time: str

    def line(self) -> bytes:
        """The line, without its line feed."""
        return canonical.dumps({"seq": self.seq, "prev": self.prev, "kind": self.kind, "name": self.name,
                                "body": self.body, "time": self.time})


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger whose chain holds. `head` is the SHA-256 of the last line without its line feed."""

    entries: tuple[Entry, ...]
    size_bytes: int
    head: str

    def following(self, kind: str, name: str, body: str, time: str) -> Entry:
        """The entry that would come next."""
        return Entry(len(self.entries), self.head, kind, name, body, time)

    def newest_admission(self, name: str) -> int | None:
        """Where the model `name` was last admitted; None where it never was, or was put into quarantine since."""
        for entry in reversed(self.entries):
            if entry.name == name and entry.kind in {"admission", "quarantine"}:
                return entry.seq if entry.kind == "admission" else None
        return None


def read(data: bytes | memoryview) -> Ledger:
    """The ledger in `data`, every line and link checked.

    Raises ProvenanceError: LedgerTorn where the last line is not whole, LedgerRejected for anything else.
    """
    view = bytes(data)
    if len(view) > LEDGER_CAP_BYTES:
        raise refusal(f"it has {len(view):,} bytes, expected at most {LEDGER_CAP_BYTES:,}", {})
    whole = view.rfind(b"\n") + 1
    if whole < len(view):
        raise ProvenanceError(
            ProvenanceCode.LEDGER_TORN, f"the ledger's last line is not whole: {len(view) - whole} bytes behind the "
            f"last line feed, at byte {whole}; if a write was cut off, run `tinypylm ledger repair`",
            {"whole_bytes": whole, "torn_bytes": len(view) - whole})
    entries, head = [], START
    for seq, line in enumerate(view.split(b"\n")[:-1]):
        entries.append(_entry(line, seq, head))
        head = hashlib.sha256(line).hexdigest()
    return Ledger(tuple(entries), len(view), head)


def check_pin(ledger: Ledger, pin: JsonObject) -> None:
    """The ledger is the one that the registry pins. Raises ProvenanceError (LedgerRejected)."""
    found: JsonObject = {"bytes": ledger.size_bytes, "entries": len(ledger.entries), "head": ledger.head}
    for key, value in found.items():
        if pin[key] != value:
            raise refusal(f"its {key} is {value}, the registry pins {pin[key]}: it was cut, extended or written anew "
                          "since the registry was", {"key": key})


def check_admission(ledger: Ledger, name: str, citations: Sequence[tuple[str, str]]) -> Entry:
    """The line of the newest admission of `name`, before which the ledger has the records that it rests on, in order.

    citations: (kind, identifier) of candidate, evaluation, promotion and admission. Raises ProvenanceError.
    """
    at = ledger.newest_admission(name)
    if at is None:
        raise refusal(f"it has no admission of {name!r} that is in force", {"name": name})
    admission = ledger.entries[at]
    if admission.body != citations[-1][1]:
        raise refusal(f"its newest admission of {name!r} is {admission.body}, found {citations[-1][1]}: an admission "
                      "that was replaced does not count any more", {"name": name, "seq": at})
    lines = iter(ledger.entries[: at + 1])
    for kind, body in citations:
        if not any((entry.kind, entry.name, entry.body) == (kind, name, body) for entry in lines):
            raise refusal(f"it does not have the {kind} {body} of {name!r} in its place before the admission",
                          {"name": name, "kind": kind})
    return admission


def refusal(message: str, detail: Detail) -> ProvenanceError:
    return ProvenanceError(ProvenanceCode.LEDGER_REJECTED, f"the ledger is refused: {message}", detail)


def _entry(line: bytes, seq: int, prev: str) -> Entry:
    try:
        body = canonical.loads(line)
        _LINE(body, "")
    except (CanonicalError, ProvenanceError) as error:
        raise refusal(f"line {seq + 1}: {error.message}", {"seq": seq}) from error
    assert isinstance(body, dict)
    entry = Entry(number(body["seq"]), str(body["prev"]), str(body["kind"]), str(body["name"]), str(body["body"]),
                  str(body["time"]))
    if entry.seq != seq:
        raise refusal(f"line {seq + 1} has seq {entry.seq}, expected {seq}", {"seq": seq})
    if entry.prev != prev:
        raise refusal(f"line {seq + 1} names {entry.prev} as the line before it, which is {prev}", {"seq": seq})
    return entry
