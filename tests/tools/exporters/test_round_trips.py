"""pack(export(model)) has the model's weights bit for bit, its configuration and its ids, by either way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engine.models import HOST, all_logits
from tests.tools.exporters.models import LLAMA, NEOX, QUANTISED, TEXT, bytes_only, sealed, vocabularies
from tests.tools.packed import pack, stored
from tinypylm.config import DType, ModelConfig, Role
from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Model
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.exporters.gguf_file import export_gguf
from tinypylm_tools.exporters.hugging_face import export_folder
from tinypylm_tools.model_file import ModelFile, open_model

MODELS = {
    "llama": LLAMA, "untied llama": replace(LLAMA, tied_embeddings=False), "neox": NEOX,
    "neighbours": replace(LLAMA, interleaved_rotary=True),
    "sequential neox": replace(NEOX, parallel_residual=False, gelu_tanh=True, rotary_dim=12),
    "tied neox": replace(NEOX, tied_embeddings=True, rotary_dim=16), "odd rows": replace(LLAMA, ffn_size=72),
}


def there_and_back(file: ModelFile, way: str) -> tuple[Model, bytes]:
    """Through an f32 folder, or a GGUF file in the model's own type."""
    exported = file.path.with_suffix(f".{way}")
    if way == "hf":
        export_folder(file, exported)
    else:
        pytest.importorskip("gguf", reason="the package gguf is not installed")
        export_gguf(file, exported)
    return pack(exported, file.model.config.quantization)


@pytest.mark.parametrize("way", ["hf", "gguf"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", QUANTISED)
def test_weights_and_configuration_come_back(tmp_path: Path, name: str, dtype: DType, way: str) -> None:
    config = replace(MODELS[name], quantization=dtype)
    file = sealed(tmp_path / "x.slm", config, *bytes_only())
    model, data = there_and_back(file, way)
    if way == "hf" and config.interleaved_rotary:
        assert model.config == replace(file.model.config, interleaved_rotary=False)
        compare_as_sets(file, model, data)
        return
    assert model.config == file.model.config
    payloads = file.data[file.model.tensors[0].offset :]
    assert data[model.tensors[0].offset :] == payloads


def compare_as_sets(file: ModelFile, model: Model, data: bytes) -> None:
    """Rows of queries and keys in another order, everything else alike."""
    for tensor in model.tensors:
        rows = [stored(m, d, tensor.role, tensor.layer).tolist() for m, d in ((model, data), (file.model, file.data))]
        if tensor.role in (Role.WQ, Role.WK):
            rows = [sorted(row) for row in rows]
        assert rows[0] == rows[1]


@pytest.mark.parametrize("way", ["hf", "gguf"])
def test_a_model_whose_pairs_are_neighbours_computes_the_same(tmp_path: Path, way: str) -> None:
    file = sealed(tmp_path / "x.slm", MODELS["neighbours"], *bytes_only())
    ids = [256, *b"The quick brown fox"]
    expected = all_logits(Engine.load(file.model, file.data, HOST), ids)
    found = all_logits(Engine.load(*there_and_back(file, way), HOST), ids)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("way", ["hf", "gguf"])
@pytest.mark.parametrize("kind", ["gpt2", "digits", "scores", "bytes"])
def test_ids_come_back(tmp_path: Path, kind: str, way: str) -> None:
    vocabulary = bytes_only() if kind == "bytes" else vocabularies(tmp_path)[kind]
    file = sealed(tmp_path / "x.slm", LLAMA, *vocabulary)
    model, _ = there_and_back(file, way)
    before, after = Tokenizer.of(file.model), Tokenizer.of(model)
    for line in [*TEXT.split("\n"), "", " ", "  and the thing"]:
        assert after.encode(line) == before.encode(line), line
    assert model.tokenizer.kinds == file.model.tokenizer.kinds


@pytest.mark.parametrize("way", ["hf", "gguf"])
def test_mixed_types_come_back(tmp_path: Path, way: str) -> None:
    """In GGUF queries, keys and values are one tensor, which is f32 where they differ."""
    export_folder(sealed(tmp_path / "x.slm", NEOX, *bytes_only()), tmp_path / "first")
    mixed = {Role.WQ: DType.Q8_0, Role.W_UP: DType.F32}
    before, data = pack(tmp_path / "first", DType.Q4_0, mixed=mixed)
    (tmp_path / "y.slm").write_bytes(data)
    there_and_back(open_model(tmp_path / "y.slm"), way)
    after, again = pack(tmp_path / f"y.{way}", DType.Q4_0, mixed=mixed)
    assert again[after.tensors[0].offset :] == data[before.tensors[0].offset :]


def test_a_vocabulary_that_cuts_nothing_goes_to_hf_but_not_to_gguf(tmp_path: Path) -> None:
    from tests.tools.exporters.models import merging_without_cuts

    file = sealed(tmp_path / "x.slm", LLAMA, *merging_without_cuts())
    model, _ = there_and_back(file, "hf")
    assert model.tokenizer == file.model.tokenizer
    with pytest.raises(ToolError, match=r"no pre-tokenizer that cuts nothing\. Export to hf instead") as refused:
        there_and_back(file, "gguf")
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER
    assert not (tmp_path / "x.gguf").exists()


@pytest.fixture(params=["llama", "neox"])
def named(request: pytest.FixtureRequest) -> ModelConfig:
    return MODELS[request.param]


def test_what_transformers_computes_from_the_folder_is_what_the_engine_computes(
    tmp_path: Path, named: ModelConfig
) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    torch = pytest.importorskip("torch")
    file = sealed(tmp_path / "x.slm", named, *vocabularies(tmp_path)["gpt2"])
    export_folder(file, tmp_path / "folder")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(str(tmp_path / "folder"), dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "folder"))
    ids = Tokenizer.of(file.model).encode("Größe, Straße, Füße")
    assert tokenizer("Größe, Straße, Füße")["input_ids"] == ids
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    found = all_logits(Engine.load(file.model, file.data, HOST), ids)
    assert np.abs(found - expected).max() < 1e-4


def test_what_transformers_computes_from_the_gguf_is_what_the_engine_computes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra [interop] is not installed")
    torch = pytest.importorskip("torch")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with it only")
    pytest.importorskip("gguf")
    file = sealed(tmp_path / "x.slm", replace(LLAMA, quantization=DType.Q4_0), *vocabularies(tmp_path)["gpt2"])
    export_gguf(file, tmp_path / "x.gguf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        str(tmp_path), gguf_file="x.gguf", dtype=torch.float32).eval()
    ids = Tokenizer.of(file.model).encode("Größe, Straße, Füße")
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).logits[0].numpy()
    found = all_logits(Engine.load(file.model, file.data, HOST), ids)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
