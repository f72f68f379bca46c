"""Cases and texts on the real engine. Only f32 results of compiled code, IEEE sums and one rounding: the same bytes
on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import tinypylm
from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, SessionError, SlmError, ToolError
from tinypylm.format import parse
from tinypylm.hosts.native import NativeHost
from tinypylm.identity import sources_sha256
from tinypylm.options import SamplingOptions
from tinypylm.provenance.fingerprint import f32_of_bits
from tinypylm.provenance.schema import number
from tinypylm.session import Session
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools import evaluation
from tinypylm_tools.evaluation.suites import Case, HeldOut, Suite
from tinypylm_tools.scoring import document_ids

NAME = "tinypylm eval"
LN_2 = 0.6931471805599453
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Result:
    """What a case expected and what came, as texts."""

    suite: str
    case: Case
    expected: str
    actual: str

    @property
    def passed(self) -> bool:
        return self.expected == self.actual

    def row(self) -> JsonObject:
        """The case's row in the sidecar."""
        case = self.case
        return {
            "suite": self.suite, "id": case.id, "task": case.task, "seed": str(case.seed), "decoding": case.decoding,
            "prompt_sha256": digest(case.prompt), "expected_sha256": digest(self.expected),
            "actual_sha256": digest(self.actual), "outcome": "passed" if self.passed else "failed",
        }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def runner_digest() -> str:
    """SHA-256 over the names and bytes of the source files of runtime and evaluation, which made the result."""
    return sources_sha256(tinypylm, evaluation)


class Runner:
    """One loaded model. Between two texts of its session, the session's engine scores texts that are given."""

    def __init__(self, data: bytes):
        self.session = Session(NativeHost())
        self.session.load(data)
        self._engine, self._tokenizer = self.session.engine, Tokenizer.of(parse(data))

    def close(self) -> None:
        """Gives the memory back."""
        self.session.free()

    def attach(self, package: bytes, scale_bits: str) -> None:
        """Applies an adapter to the loaded model, with this scale on top of its own."""
        self.session.apply_adapter(package, f32_of_bits(scale_bits))

    def run(self, suites: Sequence[Suite]) -> list[Result]:
        """Every case, ascending by suite and id."""
        ordered = sorted(suites, key=lambda suite: suite.name)
        return [self._result(suite, case) for suite in ordered for case in suite.cases]

    def _result(self, suite: Suite, case: Case) -> Result:
        """An error of the engine is what came: the case fails, and the others still run."""
        try:
            expected, actual = self._answers(case)
        except SlmError as error:
            expected, actual = case.expected, f"error {error.code}"
        return Result(suite.name, case, expected, actual)

    def _answers(self, case: Case) -> tuple[str, str]:
        """What was expected and what came.

        repeat: the same text twice, of at least one token. choose: of the options, the one that takes the fewest bits
        behind the prompt (ties: the first); whether the text ends there is not asked. continue: exactly that text.
        avoid: none of the words.
        """
        match case.task:
            case "repeat":
                return self._write(case) or "a text", self._write(case)
            case "choose":
                nats = [self._nats(self._whole_ids(case.prompt + option)) for option in case.options]
                return case.expected, case.options[nats.index(min(nats))]
            case "continue":
                return case.expected, self._write(case)
        words = re.findall(r"\w+", self._write(case).lower())
        return "", " ".join(word for word in case.words if word.lower() in words)

    def _write(self, case: Case) -> str:
        """The text that the session writes, its end token counted in as a mark."""
        self.session.start(case.prompt, options(case))
        pieces, ids = [], []
        while not self.session.finished:
            for event in self.session.advance(lambda: False):
                pieces.append(event.text)
                ids.append(event.id)
        self.session.reset()
        return "".join(pieces) or ("<end>" if ids else "")

    def _whole_ids(self, text: str) -> list[int]:
        """Raises SessionError where the context would cut them: a long option would seem likelier than it is."""
        ids, length = self._tokenizer.encode(text), self._engine.config.context_length
        if len(ids) > length:
            raise SessionError(
                ErrorCode.CONTEXT_EXCEEDED, f"prompt and option have {len(ids)} tokens, the model's context holds "
                f"{length}; shorten the prompt", {"prompt_tokens": len(ids), "context_length": length})
        return ids

    def microbits(self, document: str) -> tuple[int, int, int]:
        """-sum(log2 p) of a document in millionths, the bytes that its tokens stand for, and the number of tokens.

        A document is bos, its tokens, and the end token, as far as the context holds; a first token that nothing
        precedes counts in none of the three.
        """
        ids = document_ids(self._engine, self._tokenizer, document)
        size = sum(len(self._tokenizer.token_bytes(token)) for token in ids[1:])
        return round(self._nats(ids) / LN_2 * MICRO), size, len(ids) - 1

    def _nats(self, ids: Sequence[int]) -> float:
        """-sum(ln p) of the tokens behind the first one."""
        total = 0.0
        self._engine.reset()
        for position, (token, following) in enumerate(pairwise(ids)):
            self._engine.step(token, position)
            total += self._engine.candidates(1, 1.0, 1.0).log_sum_exp - self._engine.raw_logit(following)
        return total

    def documents(self, text: HeldOut) -> list[JsonObject]:
        """The rows of a text; documents of which nothing can be scored are left out. Raises ToolError for none."""
        rows: list[JsonObject] = []
        for document in text.documents:
            bits, size, tokens = self.microbits(document)
            if size:
                rows.append({"sha256": digest(document), "bytes": size, "tokens": tokens, "microbits": max(0, bits)})
        if not rows:
            raise ToolError(
                ErrorCode.UNUSABLE_SUITE, f"{text.name} holds no document of which this model can score a token; "
                f"expected two tokens or more, and a context of as many (it has "
                f"{self._engine.config.context_length}). Give other texts with --text.", {"text": text.name})
        return rows


def options(case: Case) -> SamplingOptions:
    """The sampler's options of a case."""
    values = {key: number(value) for key, value in case.decoding.items()}
    return SamplingOptions(
        temperature=values["temperature_ppm"] / MICRO, top_k=values["top_k"], top_p=values["top_p_ppm"] / MICRO,
        min_p=values["min_p_ppm"] / MICRO, repetition_penalty=values["repetition_penalty_ppm"] / MICRO,
        seed=case.seed, max_tokens=values["max_tokens"])
