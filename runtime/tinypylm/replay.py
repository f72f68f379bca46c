"""A receipt run again: the same tokens and the same logits, or the token at which the two runs part.

Where two runs of one receipt part, one of them has computed something else.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinypylm.canonical import JsonObject
from tinypylm.errors import Detail
from tinypylm.generation import Deadline, Deliver
from tinypylm.identity import runtime_sha256
from tinypylm.provenance.schema import items, number
from tinypylm.receipts import check_loaded, options_of
from tinypylm.recording import DIGEST_TOKENS, Recording
from tinypylm.session import Session


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two runs part: at the choice of this token, counted from 0, by its `id`, its `logits`, or the `end`."""

    token: int
    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many tokens the receipt has, whether its runtime runs here, and where the runs part, if they do.

    A replay that was stopped has compared the `compared_tokens` first ones only.
    """

    tokens: int
    compared_tokens: int
    same_runtime: bool
    parting: Parting | None

    @property
    def outcome(self) -> str:
        if self.parting:
            return "parted"
        return "same" if self.compared_tokens == self.tokens else "stopped"

    def __str__(self) -> str:
        return f"{self._finding()}{'' if self.same_runtime else self._runtime()}"

    def _finding(self) -> str:
        parting = self.parting
        if parting:
            return (f"The runs part at token {parting.token} of {self.tokens}: {parting.what} {parting.found}, "
                    f"expected {parting.expected}.")
        if self.outcome == "stopped":
            return f"Stopped after {self.compared_tokens} of {self.tokens} tokens, all the same so far."
        return f"The same {self.tokens} tokens, all digests of logits equal."

    def _runtime(self) -> str:
        consequence = ", which may be why" if self.parting else ""
        return f" The receipt was made by another runtime than this one{consequence}."

    def detail(self) -> Detail:
        """For programs."""
        parting = self.parting
        where: Detail = {} if parting is None else {
            "token": parting.token, "what": parting.what, "expected": parting.expected, "found": parting.found}
        return {"outcome": self.outcome, "tokens": self.tokens, "compared_tokens": self.compared_tokens,
                "same_runtime": self.same_runtime, "message": str(self), **where}


class Replay:
    """A receipt under way in a session whose model, adapters and KV cache are the receipt's.

    Raises ReplayError, SessionError or OptionError, which leave the session as it was.
    """

    def __init__(self, session: Session, receipt: JsonObject):
        check_loaded(session, receipt)
        self._session, self._receipt = session, receipt
        self._ids = items(receipt["ids"])
        self._recording = Recording()
        prompt_ids = [number(token) for token in items(receipt["prompt_ids"])]
        self.prompt = session.start_from_ids(prompt_ids, options_of(receipt), self._recording)

    def advance(self, deadline: Deadline, deliver: Deliver) -> str:
        """As `Session.stream`, and ends the generation where nothing is left to compare; the text then held back."""
        self._session.stream(lambda: self._is_over() or deadline(), deliver)
        return self._session.stop() if self._is_over() and not self._session.finished else ""

    def verdict(self) -> Verdict:
        """Of the generation, which has ended."""
        receipt, found = self._receipt, self._recording
        reason = str(self._session.finish_reason)
        was_stopped = reason == "cancelled" and len(found.ids) < len(self._ids)
        parting = _parting(receipt, found, None if was_stopped else reason)
        same_runtime = receipt["runtime_sha256"] == runtime_sha256()
        return Verdict(len(self._ids), min(len(found.ids), len(self._ids)), same_runtime, parting)

    def _is_over(self) -> bool:
        """Whether the last token is another one, or the receipt is of a generation that was stopped here."""
        ids, count = self._recording.ids, len(self._recording.ids)
        if count >= len(self._ids):
            return count > len(self._ids) or self._receipt["finish_reason"] == "cancelled"
        return count > 0 and ids[-1] != self._ids[count - 1]


def _parting(receipt: JsonObject, found: Recording, reason: str | None) -> Parting | None:
    """The first difference; logits before the token that is chosen from them. `reason` None: it was stopped before."""
    ids, digests = items(receipt["ids"]), items(receipt["logits_sha256"])
    for token, one in enumerate(found.ids[: len(ids)]):
        at, rest = divmod(token, DIGEST_TOKENS)
        expected = digests[at] if at < len(digests) else "none"
        if rest == 0 and found.logits_sha256[at] != expected:
            return Parting(token, "logits", str(expected), found.logits_sha256[at])
        if one != ids[token]:
            return Parting(token, "id", str(ids[token]), str(one))
    wanted = -(-len(ids) // DIGEST_TOKENS)
    if len(digests) > wanted:
        return Parting(len(ids), "logits", str(digests[wanted]), "none")
    if reason is None:
        return None
    return _end(len(ids), str(receipt["finish_reason"]), len(found.ids), reason)


def _end(tokens: int, expected: str, found_tokens: int, reason: str) -> Parting | None:
    if found_tokens > tokens:
        return Parting(tokens, "end", expected, "another token")
    if found_tokens < tokens:
        return Parting(found_tokens, "end", "another token", reason)
    return None if reason == expected else Parting(tokens, "end", expected, reason)
