"""A model that does not fit is refused before any work, with what would fit; and what is said to fit does."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.tools.checkpoint_folder import CONFIG, edit_config, make_checkpoint
from tests.tools.packed import plan
from tinypylm.config import DType, Role
from tinypylm.errors import BudgetError, ErrorCode, ToolError
from tinypylm.format import MODEL_BYTE_BUDGET
from tinypylm_tools import budget, packing
from tinypylm_tools.choices import Choices
from tinypylm_tools.importers.hugging_face import open_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint whose weights are never to be read."""
    make_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"never read")
    return tmp_path


def refusal(folder: Path, change: dict[str, Any], dtype: DType = DType.Q4_0) -> str:
    edit_config(folder, change)
    with pytest.raises(ToolError) as refused:
        plan(folder, dtype)
    assert refused.value.code is ErrorCode.BUDGET_EXCEEDED
    return refused.value.message


def test_a_model_over_the_budget_is_refused_with_sizes(folder: Path) -> None:
    words = refusal(folder, {"hidden_size": 1024, "intermediate_size": 4096}, DType.F32)
    assert words == ("The packed model needs 127.1 MB at f32; the budget is 33.6 MB (33,554,432 bytes). "
                     "It would fit as q4_0.")


def fits(folder: Path, **change: int) -> bool:
    """Whether the checkpoint's configuration, so changed, is within the budget at q4_0."""
    edit_config(folder, change)
    try:
        plan(folder, DType.Q4_0)
    except ToolError:
        return False
    return True


def test_the_number_of_layers_that_would_fit_does_and_one_more_does_not(folder: Path) -> None:
    words = refusal(folder, {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 20})
    layers = int(re.search(r"It would fit with (\d+) layers \(--drop-layers\)", words)[1])
    assert fits(folder, num_hidden_layers=layers)
    assert not fits(folder, num_hidden_layers=layers + 1)


def test_the_vocabulary_that_would_fit_does(folder: Path) -> None:
    words = refusal(folder, {"vocab_size": 100_000, "hidden_size": 768})
    vocabulary = int(re.search(r"a vocabulary of ([\d,]+) \(--prune-vocab", words)[1].replace(",", ""))
    assert 50_000 < vocabulary < 80_000
    assert fits(folder, vocab_size=vocabulary)
    assert "--drop-layers" not in words


def test_every_single_way_is_named(folder: Path) -> None:
    words = refusal(folder, {"vocab_size": 40_000, "hidden_size": 512, "num_hidden_layers": 5,
                             "intermediate_size": 2048}, DType.Q8_0)
    assert re.search(r"It would fit as q4_0 or with a vocabulary of [\d,]+ \(--prune-vocab TEXT\) or with \d layers "
                     r"\(--drop-layers\)\.", words)


def test_both_at_once_are_named_where_neither_is_enough(folder: Path) -> None:
    words = refusal(folder, {"vocab_size": 60_000, "hidden_size": 1024, "num_hidden_layers": 12,
                             "intermediate_size": 4096})
    layers = int(re.search(r"It would fit with a vocabulary of 15,000 and (\d+) layers\.", words)[1])
    assert fits(folder, vocab_size=15_000, num_hidden_layers=layers)


def test_a_model_that_is_too_wide_at_any_size_is_said_to_be(folder: Path) -> None:
    words = refusal(folder, {"hidden_size": 8192, "intermediate_size": 16384, "num_attention_heads": 64})
    assert words.endswith("No vocabulary or number of layers would make it fit; use a model that is less wide.")


def test_a_context_that_needs_too_much_memory_is_refused_with_the_longest_that_fits(folder: Path) -> None:
    edit_config(folder, {"max_position_embeddings": 131_072, "num_hidden_layers": 8})
    with pytest.raises(BudgetError, match=r"It would fit with --context-length \d+; it has 131072") as refused:
        plan(folder, DType.F32)
    longest = int(re.search(r"--context-length (\d+)", refused.value.message)[1])
    plan(folder, DType.F32, context_length=longest)
    with pytest.raises(BudgetError):
        plan(folder, DType.F32, context_length=longest + 1)


def test_a_context_over_the_cap_may_be_shortened_below_it(folder: Path) -> None:
    edit_config(folder, {"max_position_embeddings": 1_000_000})
    with pytest.raises(ToolError, match="Shorten it with --context-length"):
        plan(folder, DType.F32)
    plan(folder, DType.F32, context_length=64)


def test_a_vocabulary_over_the_cap_may_be_pruned_below_it(folder: Path) -> None:
    edit_config(folder, {"vocab_size": 200_000})
    with pytest.raises(ToolError, match=r"the format allows 1 to 131,072\. Prune the vocabulary"):
        plan(folder, DType.F32)
    assert plan(folder, DType.F32, pruning_text="the").config.vocab_size < 300


@pytest.mark.parametrize(("name", "value"), [("num_hidden_layers", 10**9), ("vocab_size", 10**6), ("hidden_size", 0)])
def test_a_dimension_past_its_cap_is_refused_before_anything_is_computed(folder: Path, name: str, value: int) -> None:
    edit_config(folder, {name: value, "head_dim": 0 if name == "hidden_size" else 16})
    with pytest.raises(ToolError, match="the format allows 1 to") as refused:
        plan(folder, DType.F32)
    assert refused.value.code is ErrorCode.BUDGET_EXCEEDED


def test_the_answer_counts_mixed_types(folder: Path) -> None:
    edit_config(folder, {"vocab_size": 60_000, "hidden_size": 512})
    plan(folder, DType.Q4_0)
    with pytest.raises(ToolError, match=f"the budget is {MODEL_BYTE_BUDGET / 1e6:.1f} MB"):
        plan(folder, DType.Q4_0, mixed={Role.TOK_EMBEDDINGS: DType.F32})


@pytest.mark.parametrize("dtype", list(DType))
def test_packing_takes_memory_for_the_output_and_a_part_of_a_tensor(tmp_path: Path, dtype: DType) -> None:
    """At most the output and twice the largest tensor; in fact less than half of it."""
    change = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 1, "num_attention_heads": 8,
              "vocab_size": 8192}
    make_checkpoint(tmp_path)
    edit_config(tmp_path, change)
    save_file(zeros(change), tmp_path / "model.safetensors")
    recipe = packing.plan(open_folder(tmp_path), Choices(dtype, search=dtype is not DType.F32), {})
    tracemalloc.start()
    data = packing.pack(recipe, lambda _: None).data
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    largest = 4 * 8192 * 512
    assert peak < len(data) + largest / 2


def zeros(change: dict[str, int]) -> dict[str, np.ndarray]:
    config = CONFIG | change
    hidden, ffn, part = config["hidden_size"], config["intermediate_size"], "model.layers.0."
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,),
        f"{part}input_layernorm.weight": (hidden,), f"{part}post_attention_layernorm.weight": (hidden,),
        f"{part}self_attn.q_proj.weight": (hidden, hidden), f"{part}self_attn.k_proj.weight": (keys, hidden),
        f"{part}self_attn.v_proj.weight": (keys, hidden), f"{part}self_attn.o_proj.weight": (hidden, hidden),
        f"{part}mlp.gate_proj.weight": (ffn, hidden), f"{part}mlp.up_proj.weight": (ffn, hidden),
        f"{part}mlp.down_proj.weight": (hidden, ffn)}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_the_largest_number_that_fits_is_found_at_the_ends_too() -> None:
    for limit in range(3, 9):
        for wanted in range(2, limit + 1):
            assert budget._largest(limit, 3, wanted.__ge__) == (wanted if wanted >= 3 else 0)
