"""Receipts of CPython for f32, q8_0 and q4_0, with and without adapters, are the page's own to the byte, and replay.

Then one is altered, and the token is named; and one is of another model, and is refused.
"""

from __future__ import annotations

import json

import pytest

from tests.engines.desk import EngineDesk
from tests.replay.runs import MODELS, OPTIONS, PROMPT, fixture, of_entry, opened, record, stack
from tinypylm import canonical

pytestmark = [pytest.mark.browser, pytest.mark.engines]

ENTRIES = ("storyteller-2m-f32", "storyteller-2m-q8_0", "storyteller-2m-q4_0", "storyteller-2m-fairytales")
"""Of the registry; the last has two adapters."""

IN_THE_PAGE: dict[str, object] = OPTIONS | {"seed": str(OPTIONS["seed"])}


def test_replay(engine_desk: EngineDesk):
    desk = engine_desk
    for kind in MODELS:
        with_and_without_adapters(desk, kind)
    for entry in ENTRIES:
        desk.choose(entry)
        receipt = of_entry(entry)
        the_page_agrees(desk, receipt)
    altered_ones_are_found(desk, receipt)


def with_and_without_adapters(desk: EngineDesk, kind: str) -> None:
    desk.open_file(f"{kind}.slm", fixture(kind))
    session = opened(kind)
    for data, scale in ((None, None), *stack(kind)):
        if data is not None:
            desk.apply_adapter(data, scale)
            session.apply_adapter(data, scale)
        receipt = record(session)
        the_page_agrees(desk, receipt)
    session.free()


def the_page_agrees(desk: EngineDesk, receipt: bytes) -> None:
    assert desk.record(PROMPT, IN_THE_PAGE) == receipt
    verdict = desk.replay(receipt)
    assert (verdict["outcome"], verdict["same_runtime"]) == ("same", True)
    assert verdict["message"] == f"The same {verdict['tokens']} tokens, all digests of logits equal."


def altered_ones_are_found(desk: EngineDesk, receipt: bytes) -> None:
    """`receipt` is of the model that is loaded; by the file input."""
    held = json.loads(receipt)
    wrong_id, wrong_digest = held["ids"][:], held["logits_sha256"][:]
    wrong_id[20] ^= 1
    wrong_digest[2] = "0" * 64
    for field, value, token in (("ids", wrong_id, 20), ("logits_sha256", wrong_digest, 32)):
        desk.put_file("replay-file", "receipt.json", canonical.dumps(held | {field: value}))
        assert desk.verdict("parted").startswith(f"The runs part at token {token} of 40: ")
    desk.put_file("replay-file", "receipt.json", receipt)
    assert desk.verdict("same").startswith("The same 40 tokens")
    desk.put_file("replay-file", "receipt.json", canonical.dumps(held | {"model_sha256": "0" * 64}))
    desk.shows("ReceiptModelMismatch")
