"""`tinypylm replay`: a receipt run again here, and at which token the two runs part, if they do."""

from __future__ import annotations

import hashlib
import json
from itertools import zip_longest
from pathlib import Path

import click

from tinypylm.canonical import JsonObject
from tinypylm.errors import ErrorCode, ReplayError, mismatch
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache
from tinypylm.provenance.schema import fields, items
from tinypylm.receipts import check_model, parse_receipt, scale_of
from tinypylm.replay import Replay, Verdict
from tinypylm.session import Session
from tinypylm_tools.adapters.package_file import open_package
from tinypylm_tools.file_bytes import read_file
from tinypylm_tools.model_file import read_model

PARTED = 3
PARTED_ELSEWHERE = 4


@click.command()
@click.argument("receipt", type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model that the receipt names.")
@click.option("--adapter", "adapters", multiple=True, metavar="FILE", type=click.Path(path_type=Path),
              help="An adapter that the receipt names, in its order; the receipt has its scale. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one JSON object.")
@click.pass_context
def command(
    context: click.Context, /, receipt: Path, model: Path, adapters: tuple[Path, ...], as_json: bool
) -> None:
    """Run the generation in the file RECEIPT again, and compare tokens and digests of logits.

    Exit status 0: all are the same. 3: the runs part. 4: they part, and another runtime made the receipt. 1: the
    receipt is malformed, or for another model or other adapters.

    \b
    Example:
      tinypylm replay told.json --model story.slm
      tinypylm replay told.json --model story.slm --adapter pirate.alr1 --json
    """
    verdict = replay(read_file(receipt), model, adapters)
    click.echo(json.dumps(verdict.detail()) if as_json else str(verdict))
    if verdict.parting:
        context.exit(PARTED if verdict.same_runtime else PARTED_ELSEWHERE)


def replay(data: bytes, model: Path, adapters: tuple[Path, ...]) -> Verdict:
    """What comes of the receipt in `data`, on the model and the adapters in these files. Raises SlmError."""
    receipt = parse_receipt(data)
    session = Session(NativeHost())
    file = read_model(model)
    check_model(hashlib.sha256(file).hexdigest(), receipt)
    session.load(file, KVCache(str(receipt["kv_cache"])))
    for package, scale in _stack(receipt, adapters):
        session.apply_adapter(package, scale)
    run = Replay(session, receipt)
    while not session.finished:
        run.advance(lambda: False, lambda *_: None)
    verdict = run.verdict()
    session.free()
    return verdict


def _stack(receipt: JsonObject, adapters: tuple[Path, ...]) -> list[tuple[bytes, float]]:
    """The packages in the receipt's order, with its scales."""
    stack: list[tuple[bytes, float]] = []
    for index, (path, adapter) in enumerate(zip_longest(adapters, map(fields, items(receipt["adapters"])))):
        data = open_package(path).data if path else b""
        found = hashlib.sha256(data).hexdigest() if path else "none"
        expected = str(adapter["sha256"]) if adapter else "none"
        if adapter is None or found != expected:
            raise mismatch(
                ReplayError, ErrorCode.RECEIPT_ADAPTER_MISMATCH, f"adapter {index}", found, expected,
                "Give the receipt's adapters, each with --adapter, in its order.")
        stack.append((data, scale_of(adapter)))
    return stack
