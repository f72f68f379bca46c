"""`tinypylm generate`: the same engine, sampler and session as in the page, streaming to the terminal."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from tinypylm.chat import Turn
from tinypylm.hosts.native import NativeHost
from tinypylm.memory import KVCache
from tinypylm.options import SamplingOptions
from tinypylm.receipts import Recorder
from tinypylm.session import Session
from tinypylm_tools.adapters.package_file import open_package, read_scaled
from tinypylm_tools.model_file import read_model
from tinypylm_tools.slm_writer import write_atomically
from tinypylm_tools.terminal import CtrlC, Writer

_DEFAULTS = SamplingOptions()
_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--prompt", required=True, metavar="TEXT", help="The text to continue.")
@click.option("--chat", "is_message", is_flag=True,
              help="Answer the prompt as a message; for a model that was made for chat.")
@click.option("--temperature", type=float, default=_DEFAULTS.temperature, show_default=True,
              help="0 takes the best token always; higher is more varied.")
@click.option("--top-k", type=int, default=_DEFAULTS.top_k, show_default=True,
              help="Choose among the best K, at most 1024.")
@click.option("--top-p", type=float, default=_DEFAULTS.top_p, show_default=True,
              help="Choose among the fewest tokens that together have this probability.")
@click.option("--min-p", type=float, default=_DEFAULTS.min_p, show_default=True,
              help="Leave out tokens less probable than this share of the best one.")
@click.option("--repetition-penalty", type=float, default=_DEFAULTS.repetition_penalty, show_default=True,
              help="Above 1, tokens that occurred become rarer.")
@click.option("--seed", type=int, default=_DEFAULTS.seed, show_default=True,
              help="0 to 2^64 - 1; the same seed gives the same text, in a browser too.")
@click.option("--max-tokens", type=int, default=_DEFAULTS.max_tokens, show_default=True,
              help="End after so many tokens.")
@click.option("--stop", "stop_strings", multiple=True, metavar="TEXT", help="End before this text; may be repeated.")
@click.option("--kv-cache", type=click.Choice(list(map(str, KVCache))), default=str(KVCache.F32), show_default=True,
              help="How keys and values are kept: f16 takes half of the memory and changes the logits a little.")
@click.option("--adapter", "adapters", multiple=True, metavar="FILE[:SCALE]",
              help="Apply an adapter package first; may be repeated, in this order.")
@click.option("--receipt", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a receipt, from which `tinypylm replay` and the page run the generation again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end instead of streaming.")
@click.pass_context
def command(
    context: click.Context, /, model: Path, prompt: str, is_message: bool, kv_cache: str, as_json: bool,
    adapters: tuple[str, ...], receipt: Path | None, **options: object,
) -> None:
    """Continue a prompt with the model in the file MODEL.

    Ctrl-C ends the text where it is, with finish reason "cancelled" and exit status 130.

    \b
    Example:
      tinypylm generate story.slm --prompt "Once upon a time" --seed 7
      tinypylm generate story.slm --prompt "Once upon a time" --temperature 0 --json
    """
    sampling = SamplingOptions.from_dict(options)
    data = read_model(model)
    session = Session(NativeHost())
    session.load(data, KVCache(kv_cache))
    for adapter in adapters:
        path, scale = read_scaled(adapter)
        session.apply_adapter(open_package(path).data, scale)
    writer = Writer()
    lead = session.chat.lead if is_message else ""
    if is_message:
        prompt, sampling = session.chat.prompt([Turn("user", prompt)]), session.chat.ending(sampling)
    recorder = Recorder(session, sampling) if receipt else None
    session.start(prompt, sampling, recorder.recording if recorder else None)
    ids, text = tell(session, (lambda piece: None) if as_json else writer.write, lead)
    if receipt and recorder:
        write_atomically(receipt, recorder.receipt())
    if as_json:
        digest = hashlib.sha256(data).hexdigest()
        click.echo(json.dumps(summary(session, sampling, digest, ids, text)))
    else:
        writer.end_line()
        _report(session)
    if session.finish_reason == "cancelled":
        context.exit(_INTERRUPTED)


def tell(session: Session, write: Callable[[str], None], lead: str = "") -> tuple[list[int], str]:
    """Runs the started generation to its end or to Ctrl-C; the generated ids and their text, which was also written.

    A `lead` that the text begins with is left out.
    """
    ids: list[int] = []
    pieces: list[str] = []

    def give_out(piece: str) -> None:
        said = piece if any(pieces) else piece.removeprefix(lead)
        pieces.append(piece)
        write(said)

    with CtrlC() as ctrl_c:
        while not session.finished:
            if ctrl_c.pressed:
                give_out(session.stop())
                break
            for event in session.advance(lambda: True):
                ids.append(event.id)
                give_out(event.text)
    return ids, "".join(pieces).removeprefix(lead)


def summary(
    session: Session, sampling: SamplingOptions, digest: str, ids: list[int], text: str
) -> dict[str, object]:
    """What `--json` prints: enough to run the same generation again and to compare."""
    figures = session.diagnostics()
    return {
        "model": figures["model_id"], "model_sha256": digest, "engine": figures["engine"],
        "kv_cache": figures["kv_cache"], "seed": sampling.seed, "options": asdict(sampling),
        "adapter_apply_count": figures["adapter_apply_count"],
        "last_adapter_checksum": figures["last_adapter_checksum"],
        "prompt_ids": list(session.prompt_ids), "ids": ids, "text": text, "finish_reason": session.finish_reason,
        "timings": {
            "load_ms": figures["model_load_ms"],
            **{key: figures[key] for key in
               ("prompt_tokens_per_second", "decode_tokens_per_second", "time_to_first_token_ms")},
        },
    }


def _report(session: Session) -> None:
    """One line on standard error, for a person."""
    if not sys.stderr.isatty():
        return
    figures = session.diagnostics()
    rate = figures["decode_tokens_per_second"]
    pace = f", {rate:,.0f} tokens/s" if isinstance(rate, float) else ""
    click.echo(f"[{figures['generated_tokens']} tokens{pace}; ended by {session.finish_reason}]", err=True)
