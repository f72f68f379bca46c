"""The tables of docs/conformance.md: what packing costs, and how far our logits are from the source's own framework.

    python -m tests.conformance models/storyteller-2m-f32.slm tests/data/heldout.txt
        [--llama2c MODEL.bin TOKENIZER.bin]

Needs the extra [interop]. A Llama is the exported MODEL; a GPT-NeoX is made on the spot with random weights, so that
its bits per byte say nothing and are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod, sqrt
from pathlib import Path

import click
import numpy as np
import torch
import transformers

from tinypylm.config import DType
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm_tools import packing
from tinypylm_tools.choices import Choices, read_text
from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.importers.detection import open_source
from tinypylm_tools.model_file import open_model
from tinypylm_tools.quantise import F32
from tinypylm_tools.scoring import bits_per_byte, logit_rows, open_engine

_COMPARED_TOKENS = 200
_STORIES = 24
Logits = Callable[[list[int]], F32]


@dataclass(frozen=True, slots=True)
class Case:
    """A checkpoint, and what its own framework computes from it."""

    family: str
    source: str
    path: Path
    logits: Logits
    tokenizer: Path | None = None
    trained: bool = True


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text", type=click.Path(path_type=Path))
@click.option("--llama2c", nargs=2, type=click.Path(path_type=Path), help="A model of llama2.c and its tokenizer.bin.")
def main(model: Path, text: Path, llama2c: tuple[Path, Path] | None) -> None:
    """Print both tables for the f32 model MODEL and the documents in TEXT, which stand between empty lines."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    documents = read_text(text).split("\n\n")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        print("| family | source | packed as | bytes | bits per byte | largest logit difference | largest logit |")
        print("|---|---|---|---|---|---|---|")
        for case in _cases(model, work, llama2c):
            for dtype in DType:
                print(_row(case, dtype, work, documents), flush=True)
        print("\n| packed as | quantizer | rmse of quantised weights | largest error | bits per byte |")
        print("|---|---|---|---|---|")
        for row in _quantizer_rows(model, work, documents):
            print(row, flush=True)


def _cases(model: Path, work: Path, llama2c: tuple[Path, Path] | None) -> Iterator[Case]:
    folder, gguf, neox = work / "llama", work / "model.gguf", work / "neox"
    export_folder(open_model(model), folder)
    yield Case("Llama", "Hugging Face, F32", folder, _transformers(folder))
    export_gguf(open_model(model), gguf)
    yield Case("Llama", "GGUF, F32", gguf, _transformers(work, gguf.name))
    small = work / "small.gguf"
    export_gguf(open_model(_packed(Case("", "", folder, _transformers(folder)), Choices(DType.Q8_0), work)[0]), small)
    yield Case("Llama", "GGUF, Q8_0", small, _transformers(work, small.name))
    _make_neox(neox, folder)
    yield Case("GPT-NeoX", "Hugging Face, F32, three shards, random weights", neox, _transformers(neox), trained=False)
    if llama2c is not None:
        yield _llama2c_case(*llama2c, work)


def _llama2c_case(path: Path, tokenizer: Path, work: Path) -> Case:
    """Its own framework is C; what transformers computes from the exported f32 model stands for it."""
    packed, _ = _packed(Case("", "", path, lambda _: np.zeros(0, np.float32), tokenizer), Choices(DType.F32), work)
    export_folder(open_model(packed), work / "llama2c")
    return Case("Llama", f"llama2.c, {path.name}", path, _transformers(work / "llama2c"), tokenizer)


def _make_neox(folder: Path, tokenizer_of: Path) -> None:
    torch.manual_seed(0)
    config = transformers.GPTNeoXConfig(
        vocab_size=2048, hidden_size=192, num_hidden_layers=4, num_attention_heads=6, intermediate_size=768,
        max_position_embeddings=512, initializer_range=0.08, bos_token_id=0, eos_token_id=1)
    transformers.GPTNeoXForCausalLM(config).save_pretrained(folder, max_shard_size="4MB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tokenizer_of / name).read_bytes())


def _transformers(folder: Path, gguf_file: str | None = None) -> Logits:
    """f32[tokens, vocab_size] of a list of ids, loaded when first asked for."""
    def logits(ids: list[int]) -> F32:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder), gguf_file=gguf_file, dtype=torch.float32).eval()
        with torch.no_grad():
            rows: F32 = model(torch.tensor([ids])).logits[0].numpy()
        return rows

    return logits


def _packed(case: Case, choices: Choices, work: Path) -> tuple[Path, packing.Packed]:
    source = open_source(case.path, case.tokenizer)
    packed = packing.pack(packing.plan(source, choices, {}), lambda _: None)
    path = work / "packed.slm"
    path.write_bytes(packed.data)
    return path, packed


def _row(case: Case, dtype: DType, work: Path, documents: list[str]) -> str:
    path, packed = _packed(case, Choices(dtype), work)
    engine, tokenizer = open_engine(path)
    ids = tokenizer.encode(" ".join(documents))[:_COMPARED_TOKENS]
    expected = case.logits(ids)
    difference = np.abs(np.stack(list(logit_rows(engine, ids))) - expected).max()
    bits = f"{bits_per_byte(path, documents):.4f}" if case.trained else ""
    return (f"| {case.family} | {case.source} | {dtype.label} | {len(packed.data):,} | {bits} | {difference:.2g} | "
            f"{np.abs(expected).max():.1f} |")


def _quantizer_rows(model: Path, work: Path, documents: list[str]) -> Iterator[str]:
    folder = work / "searched"
    export_folder(open_model(model), folder)
    case = Case("Llama", "", folder, _transformers(folder))
    told = _own_stories(model)
    for dtype in (DType.Q8_0, DType.Q4_0):
        plain = Choices(dtype)
        ways = {"default": plain, "search": replace(plain, search=True),
                "search, calibrated": replace(plain, search=True, calibration_text=told)}
        for name, choices in ways.items():
            path, packed = _packed(case, choices, work)
            rmse, largest = _error(packed)
            yield f"| {dtype.label} | {name} | {rmse:.6f} | {largest:.4f} | {bits_per_byte(path, documents):.4f} |"


def _error(packed: packing.Packed) -> tuple[float, float]:
    errors = [error for error in packed.errors if error.dtype is not DType.F32]
    count = sum(prod(error.spec.shape) for error in errors)
    squares = sum(error.rmse**2 * prod(error.spec.shape) for error in errors)
    return sqrt(squares / count), max(error.max_error for error in errors)


def _own_stories(model: Path) -> str:
    """What the model itself tells, the same on every machine: a calibration text that anyone has."""
    session = Session(NativeHost())
    session.load(open_model(model).data)
    stories = []
    for seed in range(_STORIES):
        session.start("Once upon a time", SamplingOptions(seed=seed, max_tokens=256))
        pieces = []
        while not session.finished:
            pieces += [event.text for event in session.advance(lambda: True)]
        stories.append("Once upon a time" + "".join(pieces))
    session.free()
    return "\n".join(stories)


if __name__ == "__main__":
    main()
