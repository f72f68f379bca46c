"""Receipts of generations: written from a session, read back, and compared with what is loaded.

The same bits on every engine and with any number of threads: so a receipt made anywhere can be replayed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import zip_longest

from tinypylm import canonical
from tinypylm.adapters import Applied
from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ErrorCode, ReplayError, mismatch
from tinypylm.hosts import Buffer
from tinypylm.identity import runtime_sha256
from tinypylm.options import SamplingOptions
from tinypylm.provenance import RecordKind, dump, load
from tinypylm.provenance.fingerprint import f32_bits, f32_of_bits
from tinypylm.provenance.records import VERSION
from tinypylm.provenance.schema import items
from tinypylm.recording import Recording
from tinypylm.session import Session

_READ: dict[type, Callable[[JsonValue], object]] = {
    float: lambda text: float(str(text)), int: lambda text: int(str(text)), tuple: lambda texts: tuple(items(texts)),
}


def parse_receipt(data: Buffer) -> JsonObject:
    """The receipt in `data`. Raises ProvenanceError for anything but the canonical text of one, OptionError."""
    receipt = load(memoryview(data), RecordKind.REPLAY_RECEIPT)
    options_of(receipt)
    return receipt


def options_of(receipt: JsonObject) -> SamplingOptions:
    """Raises OptionError."""
    written = receipt["options"]
    assert isinstance(written, dict)
    values = {field.name: _READ[type(field.default)](written[field.name]) for field in fields(SamplingOptions)}
    return SamplingOptions(**values)  # type: ignore[arg-type]  # of the types of the defaults


class Recorder:
    """One generation of a session: give `recording` to its `start`, and ask for the receipt when it has ended.

    Raises CanonicalError at once where a stop string has no canonical text.
    """

    def __init__(self, session: Session, options: SamplingOptions):
        self.recording = Recording()
        self._session = session
        self._origin: JsonObject = {
            "kind": str(RecordKind.REPLAY_RECEIPT), "version": VERSION, "runtime_sha256": runtime_sha256(),
            "model_sha256": session.model_sha256, "adapters": [_adapter(each) for each in session.applied_adapters],
            "kv_cache": str(session.engine.plan.kv_cache), "options": _written(options),
        }
        canonical.dumps(self._origin)

    def receipt(self) -> bytes:
        """Of the generation that has ended last; a step after it is not in it."""
        recording, reason = self.recording, self._session.finish_reason
        assert reason is not None, "a receipt is of a generation that has ended"
        return dump(RecordKind.REPLAY_RECEIPT, {
            **self._origin, "prompt_ids": list(self._session.prompt_ids), "ids": list(recording.ids),
            "logits_sha256": list(recording.logits_sha256), "finish_reason": reason,
        })


def check_loaded(session: Session, receipt: JsonObject) -> None:
    """Nothing, where what is loaded is what the receipt names. Raises ReplayError, SessionError (ModelNotLoaded)."""
    check_model(session.model_sha256, receipt)
    found = [_adapter(each) for each in session.applied_adapters]
    expected = items(receipt["adapters"])
    for index, (one, other) in enumerate(zip_longest(found, expected)):
        if one != other:
            raise mismatch(
                ReplayError, ErrorCode.RECEIPT_ADAPTER_MISMATCH, f"adapter {index}", _shown(one), _shown(other),
                "Apply the receipt's adapters in its order, with its scales, and no others.")
    kv_cache = str(session.engine.plan.kv_cache)
    if kv_cache != receipt["kv_cache"]:
        raise mismatch(ReplayError, ErrorCode.RECEIPT_CACHE_MISMATCH, "KV cache", kv_cache, receipt["kv_cache"],
                       f"Load the model with the KV cache {receipt['kv_cache']}.")


def check_model(sha256: str, receipt: JsonObject) -> None:
    """Nothing, where the receipt is of the model with this digest. Raises ReplayError."""
    if sha256 != receipt["model_sha256"]:
        raise mismatch(ReplayError, ErrorCode.RECEIPT_MODEL_MISMATCH, "SHA-256 of the model", sha256,
                       receipt["model_sha256"], "Load the model that the receipt was made with.")


def scale_of(adapter: JsonObject) -> float:
    """The scale with which an adapter of a receipt is applied."""
    return f32_of_bits(str(adapter["scale_bits"]))


def _adapter(applied: Applied) -> JsonObject:
    return {"sha256": applied.sha256, "scale_bits": f32_bits(applied.scale)}


def _shown(adapter: JsonValue) -> str:
    return f"{adapter['sha256']} with scale {scale_of(adapter):g}" if isinstance(adapter, dict) else "none"


def _written(options: SamplingOptions) -> JsonObject:
    return {field.name: _text(type(field.default), getattr(options, field.name)) for field in fields(options)}


def _text(kind: type, value: float | tuple[str, ...]) -> JsonValue:
    if isinstance(value, tuple):
        return list(value)
    return repr(float(value)) if kind is float else str(value)
