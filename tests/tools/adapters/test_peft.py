"""LoRA folders of PEFT: merged by PEFT itself and by us, and every kind that is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.adapters.packages import model_file
from tests.engine.models import all_logits, config, loaded, neox, random_file
from tinypylm.adapters import AdapterStack, parse_package
from tinypylm.config import DType, Family, ModelConfig, Role
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.adapters.peft_folder import import_peft
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.model_file import ModelFile

IDS = [3, 200, 17, 64, 101, 5, 9]
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
SHAPES = {
    "Llama": (config(tied_embeddings=False), [*ATTENTION, "gate_proj", "up_proj", "down_proj", "lm_head"]),
    "Llama, neighbouring pairs": (config(interleaved_rotary=True), ATTENTION),
    "GPT-NeoX": (neox(), ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "embed_out"]),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"r": 4, "lora_alpha": 6},
    "rank-stabilised": {"r": 4, "lora_alpha": 6, "use_rslora": True},
}
PATTERNS: dict[str, dict[str, Any]] = {
    "Llama": {"rank_pattern": {"q_proj": 2, r"layers\.1\.self_attn\.k_proj": 6}, "alpha_pattern": {"v_proj": 3}},
    "GPT-NeoX": {"rank_pattern": {"dense": 2, r"layers\.1\.attention\.query_key_value": 6},
                 "alpha_pattern": {"dense_h_to_4h": 3}},
}


def lora(base: ModelFile, folder: Path, targets: list[str], **options: Any) -> Any:
    """A LoRA with random factors for the exported base, saved by PEFT; the model that PEFT merges it into."""
    peft = pytest.importorskip("peft")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    export_folder(base, folder / "base")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    torch.manual_seed(0)
    model = peft.get_peft_model(model, peft.LoraConfig(target_modules=targets, **options))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder / "lora", save_embedding_layers=False)
    return model.merge_and_unload()


def logits_of(merged: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        return merged(torch.tensor([IDS])).logits[0].numpy()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [*OPTIONS, "patterns"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_imported_lora_gives_the_logits_that_peft_gives_merged(shape: str, options: str, tmp_path: Path) -> None:
    model_config, targets = SHAPES[shape]
    chosen = OPTIONS.get(options) or OPTIONS["plain"] | PATTERNS[shape.split(",", maxsplit=1)[0]]
    base = model_file(random_file(model_config))
    merged = lora(base, tmp_path, targets, **chosen)
    imported = import_peft(tmp_path / "lora", base)
    engine = loaded(base.data)
    plain = all_logits(engine, IDS)
    stack = AdapterStack(engine)
    stack.apply(stack.validate(imported.data))
    engine.reset()
    expected = logits_of(merged)
    assert np.abs(plain - expected).max() > 0.05
    np.testing.assert_allclose(all_logits(engine, IDS), expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


def folder_for(model_config: ModelConfig, folder: Path, rank: int = 2) -> ModelFile:
    """A LoRA of wq in layer 0, written here and not by PEFT."""
    base = model_file(random_file(model_config))
    module = ("model.layers.0.self_attn.q_proj" if model_config.family is Family.LLAMA
              else "gpt_neox.layers.0.attention.query_key_value")
    rows = base.model.tensor(Role.WQ, 0).shape[0] * (1 if model_config.family is Family.LLAMA else 3)
    rng = np.random.default_rng(0)
    save_file({
        f"base_model.model.{module}.lora_A.weight": rng.standard_normal((rank, 64)).astype(np.float32),
        f"base_model.model.{module}.lora_B.weight": rng.standard_normal((rows, rank)).astype(np.float32),
    }, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": 3, "bias": "none"}))
    return base


def set_config(folder: Path, **values: Any) -> None:
    (folder / CONFIG).write_text(json.dumps(json.loads((folder / CONFIG).read_text()) | values))


def test_a_fused_module_becomes_three_entries_with_one_a(tmp_path: Path) -> None:
    base = folder_for(neox(), tmp_path)
    package = parse_package(import_peft(tmp_path, base).data)
    assert [entry.role for entry in package.entries] == [Role.WQ, Role.WK, Role.WV]
    assert len({bytes(entry.payload[: 4 * 2 * 64]) for entry in package.entries}) == 1
    assert package.scale == 1.5


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "DoRA": ({"use_dora": True}, "DoRA scales each column"),
    "biases": ({"bias": "lora_only"}, "biases of the base"),
    "a bias in B": ({"lora_bias": True}, "bias in B"),
    "whole modules": ({"modules_to_save": ["lm_head"]}, "replaces whole modules"),
    "trained tokens": ({"trainable_token_indices": [3]}, "single rows of the embeddings"),
    "another start": ({"init_lora_weights": "pissa_niter_4"}, "change the base's weights"),
    "an unknown setting": ({"use_future_trick": True}, "not known here"),
    "transposed weights": ({"fan_in_fan_out": True}, "transposed"),
    "another method": ({"peft_type": "IA3"}, "LORA"),
    "no rank": ({"r": 0}, "at least 1"),
    "another rank": ({"r": 3}, "expected 3"),
    "another rank by pattern": ({"rank_pattern": {"q_proj": 5}}, "expected 5"),
    "a pattern that is none": ({"rank_pattern": {"(": 5}}, "regular expression"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_configuration_that_an_alr1_cannot_say_is_refused_with_its_reason(what: str, tmp_path: Path) -> None:
    base = folder_for(config(), tmp_path)
    change, words = REFUSED[what]
    set_config(tmp_path, **change)
    with pytest.raises(ToolError, match=words):
        import_peft(tmp_path, base)


TENSORS: dict[str, tuple[dict[str, np.ndarray | None], str]] = {
    "an unmatched key": ({"base_model.model.lm_head.weight": np.zeros((2, 2), np.float32)}, "only factors"),
    "a copy of the base": ({"base_model.model.lm_head.base_layer.weight": np.zeros((2, 2), np.float32)},
                           "save_embedding_layers=False"),
    "an embedding": ({"base_model.model.model.embed_tokens.lora_embedding_A": np.zeros((2, 2), np.float32)},
                     "embedding table is not supported"),
    "a magnitude": ({"base_model.model.x.lora_magnitude_vector": np.zeros(2, np.float32)}, "DoRA"),
    "half a pair": ({"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": None}, "alone"),
    "a module of no model": ({f"base_model.model.model.layers.7.self_attn.q_proj.lora_{half}.weight":
                              np.zeros((2, 2), np.float32) for half in "AB"}, "no matrix"),
    "another shape": ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight":
                       np.zeros((2, 63), np.float32)}, "factors of shapes"),
    "a number that is none": ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight":
                               np.full((2, 64), np.nan, np.float32)}, "not all finite"),
}


@pytest.mark.parametrize("what", TENSORS)
def test_tensors_that_are_not_plain_factors_are_refused(what: str, tmp_path: Path) -> None:
    base = folder_for(config(quantization=DType.Q8_0), tmp_path)
    change, words = TENSORS[what]
    stored = load_file(tmp_path / WEIGHTS) | change
    save_file({name: value for name, value in stored.items() if value is not None}, tmp_path / WEIGHTS)
    with pytest.raises(ToolError, match=words):
        import_peft(tmp_path, base)


def test_a_pickle_is_refused_with_the_way_out(tmp_path: Path) -> None:
    base = folder_for(config(), tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ToolError, match="could run any code") as refused:
        import_peft(tmp_path, base)
    assert refused.value.code is ErrorCode.MISSING_FILE


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    base = folder_for(config(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ToolError, match=name):
        import_peft(tmp_path, base)
