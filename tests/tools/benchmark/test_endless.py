"""A model without its end: the same tokens, and more of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.benchmark.short_texts import SMALL, ending_at_once
from tinypylm.config import DType
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import parse
from tinypylm.hosts.native import NativeHost
from tinypylm.options import SamplingOptions
from tinypylm.session import Session
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.bench_models import random_model
from tinypylm_tools.benchmark.comparison import measured_tokens, prompt_of
from tinypylm_tools.benchmark.endless import endless
from tinypylm_tools.model_file import open_model


def greedy(data: bytes, prompt: str) -> tuple[list[int], str | None]:
    """The ids of at most 32 tokens, and why there are no more."""
    session = Session(NativeHost())
    session.load(data)
    session.start(prompt, SamplingOptions(temperature=0, max_tokens=32))
    ids = [event.id for event in session.advance(lambda: False)]
    reason = session.finish_reason
    session.free()
    return ids, reason


def test_a_text_that_ends_at_once_goes_on_with_the_same_token_and_31_more(tmp_path: Path) -> None:
    file, prompt = ending_at_once(tmp_path / "short.slm", 32)
    assert greedy(file.data, prompt) == ([file.model.config.eos_id], "stop")
    ids, reason = greedy(endless(file), prompt)
    assert (ids[0], len(ids), reason) == (file.model.config.eos_id, 32, "length")


def test_only_the_end_token_and_the_metadata_are_gone(tmp_path: Path) -> None:
    file, _ = ending_at_once(tmp_path / "short.slm", 32)
    copy = parse(endless(file))
    assert copy.config == replace(file.model.config, eos_id=None)
    assert (copy.metadata, copy.tokenizer) == ({}, file.model.tokenizer)
    assert [tensor.checksum for tensor in copy.tensors] == [tensor.checksum for tensor in file.model.tensors]


def test_a_context_without_room_for_a_rate_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "brief.slm"
    path.write_bytes(random_model(replace(SMALL, context_length=63), DType.F32))
    with pytest.raises(ToolError, match=r"brief\.slm has a context of 63 tokens; expected 64 or more") as refused:
        endless(open_model(path))
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE


@pytest.mark.parametrize(("context_length", "tokens"), [(64, 32), (255, 127), (256, 128), (1024, 128)])
def test_a_short_context_is_shared_by_the_prompt_and_what_follows_it(context_length: int, tokens: int) -> None:
    model = parse(random_model(replace(SMALL, context_length=context_length), DType.F32))
    assert measured_tokens(model) == tokens
    assert len(Tokenizer.of(model).encode(prompt_of(model, tokens))) == tokens


def test_a_prompt_has_its_length_in_a_vocabulary_of_long_tokens(repo_root: Path) -> None:
    """Thirty-two repetitions of the text were not enough for the curve of a long context."""
    model = open_model(repo_root / "models" / "storyteller-2m-q8_0.slm").model
    assert len(Tokenizer.of(model).encode(prompt_of(model, 5000))) == 5000
