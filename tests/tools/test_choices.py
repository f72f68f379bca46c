"""What a user may decide: other types, other scales, fewer tokens, fewer layers; and that the file says so."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.models import HOST, all_logits
from tests.reference import llama
from tests.tokenizer.hugging_face import SINGLE_DIGITS, byte_level, save, sentence_piece
from tests.tools.checkpoint_folder import edit_config, edit_tensors, make_checkpoint
from tests.tools.importers.neox_folder import make_neox
from tests.tools.packed import pack, pack_f32, plan, stored
from tinypylm.config import DType, Role
from tinypylm.engine import Engine
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import Model, TokenKind
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.choices import read_mixed, read_text
from tinypylm_tools.layer_dropping import read_layers
from tinypylm_tools.quantise import encode

LANGUAGES = Path(__file__).parents[1].joinpath("data", "languages.txt").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path)


def record(model: Model) -> dict[str, Any]:
    packing = model.metadata.get("packing", {})
    assert isinstance(packing, dict)
    return packing


def test_named_roles_get_another_type(folder: Path) -> None:
    model, data = pack(folder, DType.Q4_0, mixed={Role.W_DOWN: DType.Q8_0, Role.TOK_EMBEDDINGS: DType.F32})
    kinds = {(tensor.role, tensor.dtype) for tensor in model.tensors}
    assert {(Role.W_DOWN, DType.Q8_0), (Role.TOK_EMBEDDINGS, DType.F32), (Role.WQ, DType.Q4_0)} <= kinds
    assert (Role.MLP_NORM, DType.F32) in kinds
    tensor = model.tensor(Role.W_DOWN, 1)
    weights = stored(*pack_f32(folder), Role.W_DOWN, 1)
    assert data[tensor.offset : tensor.offset + tensor.payload_bytes] == encode(weights, DType.Q8_0, "w_down")
    assert record(model) == {"mixed": "tok_embeddings=f32,w_down=q8_0"}


def test_a_model_of_mixed_types_computes_what_its_weights_say(folder: Path) -> None:
    mixed = {Role.W_DOWN: DType.Q8_0, Role.WK: DType.F32, Role.TOK_EMBEDDINGS: DType.Q8_0}
    model, data = pack(folder, DType.Q4_0, mixed=mixed)
    ids = [0, 5, 9, 200, 33, 44]
    expected = llama.logits(model, data, ids)
    found = all_logits(Engine.load(model, data, HOST), ids)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


@pytest.mark.parametrize(("text", "mixed"), [
    ("output=q8_0", {Role.OUTPUT: DType.Q8_0}), ("wq=f32, wk=q4_0", {Role.WQ: DType.F32, Role.WK: DType.Q4_0})])
def test_types_by_role_are_read(text: str, mixed: dict[Role, DType]) -> None:
    assert read_mixed(text) == mixed


@pytest.mark.parametrize("text", ["", "output", "output=q5_0", "head=q8_0", "wq=q8_0,,wk=f32"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match="expected ROLE=TYPE with a role of tok_embeddings, output, ") as refused:
        read_mixed(text)
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE


@pytest.mark.parametrize("role", [Role.MLP_NORM, Role.OUTPUT, Role.B_UP])
def test_a_role_that_is_no_matrix_of_the_model_is_refused(folder: Path, role: Role) -> None:
    with pytest.raises(ToolError, match=f"--mixed names {role.label}, which is no matrix of this model"):
        plan(folder, DType.Q8_0, mixed={role: DType.Q8_0})


def test_a_searched_file_is_an_ordinary_one_with_smaller_errors(folder: Path) -> None:
    default, searched = pack(folder, DType.Q4_0), pack(folder, DType.Q4_0, search=True)
    exact = stored(*pack_f32(folder), Role.WQ, 1)
    errors = [float(np.square(stored(*file, Role.WQ, 1) - exact).mean()) for file in (default, searched)]
    assert errors[1] < 0.85 * errors[0]
    assert record(searched[0]) == {"quantizer": "search"}
    assert "packing" not in default[0].metadata


def test_a_calibration_text_makes_the_logits_better(folder: Path) -> None:
    """On the text itself, which is the least that can be asked."""
    text = "the other then that there is this the weather then " * 6
    exact, plain, weighted = pack_f32(folder), pack(folder, DType.Q4_0, search=True), pack(
        folder, DType.Q4_0, search=True, calibration_text=text)
    ids = Tokenizer.of(exact[0]).encode(text)[:100]
    logits = [all_logits(Engine.load(*file, HOST), ids) for file in (exact, plain, weighted)]
    assert np.square(logits[2] - logits[0]).mean() < np.square(logits[1] - logits[0]).mean()
    assert record(weighted[0]) == {
        "quantizer": "search", "calibration_sha256": hashlib.sha256(text.encode()).hexdigest()}


def test_a_calibration_text_without_a_search_is_refused(folder: Path) -> None:
    with pytest.raises(ToolError, match="expected --quantizer search with it"):
        plan(folder, DType.Q4_0, calibration_text="x")


@pytest.mark.parametrize("make", [make_checkpoint, make_neox])
def test_the_layers_that_stay_keep_their_weights_and_order(tmp_path: Path, make: Any) -> None:
    whole, whole_data = pack_f32(make(tmp_path))
    model, data = pack_f32(tmp_path, dropped_layers=frozenset({0}))
    assert model.config.n_layers == 1
    for tensor in model.tensors:
        before = tensor.layer if tensor.layer is None else tensor.layer + 1
        np.testing.assert_array_equal(
            stored(model, data, tensor.role, tensor.layer), stored(whole, whole_data, tensor.role, before))
    assert record(model) == {"dropped_layers": "0"}


@pytest.mark.parametrize("layers", [{2}, {-1}, {0, 1}, {0, 7}])
def test_layers_that_are_not_there_and_all_of_them_are_refused(folder: Path, layers: set[int]) -> None:
    with pytest.raises(ToolError, match="expected some, but not all, of 0 to 1"):
        plan(folder, DType.Q8_0, dropped_layers=frozenset(layers))


def test_layers_are_numbers_with_commas() -> None:
    assert read_layers("3,5") == {3, 5}
    with pytest.raises(ToolError, match="expected numbers with commas"):
        read_layers("3;5")


def test_pruning_keeps_bytes_specials_and_what_the_text_uses(folder: Path) -> None:
    whole = pack_f32(folder)[0]
    model, _ = pack_f32(folder, pruning_text="the then")
    kinds = model.tokenizer.kinds
    assert model.config.vocab_size == len(model.tokenizer.tokens) < whole.config.vocab_size
    assert bytes(kinds).count(TokenKind.BYTE) == 256
    assert model.tokenizer.tokens[model.config.bos_id] == b"<|bos|>"
    assert model.tokenizer.tokens[model.config.eos_id] == b"<|endoftext|>"
    assert record(model) == {
        "pruned_from_tokens": 300, "pruning_sha256": hashlib.sha256(b"the then").hexdigest()}


def test_a_pruned_model_computes_the_same_for_the_tokens_that_stay(folder: Path) -> None:
    edit_config(folder, {"tie_word_embeddings": False})
    head = np.random.default_rng(5).standard_normal((300, 64)).astype(np.float32)
    edit_tensors(folder, {"lm_head.weight": head})
    text = "the then there"
    (whole, whole_data), (model, data) = pack_f32(folder), pack_f32(folder, pruning_text=text)
    ids, pruned = Tokenizer.of(whole).encode(text), Tokenizer.of(model).encode(text)
    columns = [list(whole.tokenizer.tokens).index(token) for token in model.tokenizer.tokens]
    assert [columns[token] for token in pruned] == ids
    before = all_logits(Engine.load(whole, whole_data, HOST), ids)
    np.testing.assert_array_equal(all_logits(Engine.load(model, data, HOST), pruned), before[:, columns])


@pytest.fixture(scope="module", params=["gpt2", "digits", "sentence_piece"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a vocabulary of many languages."""
    makers = {"gpt2": lambda: byte_level(LANGUAGES), "digits": lambda: byte_level(LANGUAGES, SINGLE_DIGITS),
              "sentence_piece": lambda: sentence_piece(LANGUAGES)}
    folder = make_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    size = save(makers[request.param](), folder)
    edit_config(folder, {"vocab_size": size})
    edit_tensors(folder, {"model.embed_tokens.weight": np.zeros((size, 64), np.float32)})
    return folder


def test_a_text_keeps_its_tokens_and_any_other_still_encodes(checkpoint: Path) -> None:
    whole = Tokenizer.of(pack_f32(checkpoint)[0])
    lines = LANGUAGES.split("\n")
    for text in ("", "a", "\n".join(lines[:3]), "\n".join(lines[16:20]), lines[-1] * 3):
        pruned = Tokenizer.of(pack_f32(checkpoint, pruning_text=text)[0])
        words = [whole.token_bytes(token) for token in whole.encode(text)]
        assert [pruned.token_bytes(token) for token in pruned.encode(text)] == words
        for other in lines:
            assert pruned.decode(pruned.encode(other)) == other.encode()


def test_any_text_keeps_its_tokens(checkpoint: Path) -> None:
    whole = Tokenizer.of(pack_f32(checkpoint)[0])

    @given(st.lists(st.sampled_from(LANGUAGES.split()), max_size=12).map(" ".join))
    def same(text: str) -> None:
        pruned = Tokenizer(plan(checkpoint, DType.F32, pruning_text=text).source.vocabulary)
        words = [whole.token_bytes(token) for token in whole.encode(text, bos=False)]
        assert [pruned.token_bytes(token) for token in pruned.encode(text)] == words

    same()


def test_a_text_that_is_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ToolError, match=r"latin\.txt is not UTF-8 text") as refused:
        read_text(tmp_path / "latin.txt")
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE
    with pytest.raises(ToolError, match="cannot be read"):
        read_text(tmp_path / "nothing.txt")
