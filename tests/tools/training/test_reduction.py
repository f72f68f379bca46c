"""A run that starts from a part of another model: the part that `tinypylm pack` keeps with the same choices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed")
pytest.importorskip("tokenizers", reason="the extra [train] is not installed")

from tests.tokenizer.hugging_face import save, sentence_piece
from tests.tools.training.tiny import LLAMA, description, documents, invoke, make_places
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.tokenizer_json import read_vocabulary
from tinypylm_tools.training import opening
from tinypylm_tools.training.corpus import read_corpus
from tinypylm_tools.training.description import Shape, read_description
from tinypylm_tools.training.places import Places
from tinypylm_tools.training.start import from_model
from tinypylm_tools.vocabulary_pruning import pruned_to

_START = "[start]\ndrop_layers = [0]\nprune_vocabulary = true\ncontext_length = 32\n"


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = description(LLAMA.replace("300", "360"), schedule="steps = 1\n", more='export = ["f32"]\n')
    places = make_places(tmp_path_factory.mktemp("parent"), text)
    assert invoke("train", places.description, places.folder, "--data", places.data).exit_code == 0
    return places.folder / "tiny-f32.slm"


def child(folder: Path, parent: Path, start: str = _START) -> Places:
    """A run on half of the documents that the parent has seen."""
    places = replace(make_places(folder, description("") + start), parent=parent)
    (folder / "texts.txt").write_text("\n<|endoftext|>\n".join(documents()[:48]), encoding="utf-8")
    return places


def test_a_run_starts_from_the_part_that_pack_keeps(tmp_path: Path, parent: Path) -> None:
    places = child(tmp_path, parent)
    begun = opening.open_run(read_description(places.description), places, print)
    (tmp_path / "seen.txt").write_text("\n".join(read_corpus([tmp_path / "texts.txt"], "all").train), encoding="utf-8")
    assert invoke("export", parent, "--to", "hf", tmp_path / "hf").exit_code == 0
    packed = invoke("pack", tmp_path / "hf", tmp_path / "part.slm", "--type", "f32", "--drop-layers", "0",
                    "--prune-vocab", tmp_path / "seen.txt", "--context-length", "32")
    assert packed.exit_code == 0, packed.output
    expected = from_model(tmp_path / "part.slm")
    assert begun.config == expected.config
    assert begun.tokenizer == expected.tokenizer
    assert (begun.config.n_layers, begun.config.vocab_size < 360) == (1, True)
    weights = expected.make_weights()
    assert begun.weights.keys() == weights.keys()
    assert all(weight.equal(weights[key]) for key, weight in begun.weights.items())
    assert begun.parent == from_model(parent).parent


def test_each_document_keeps_its_tokens_where_texts_begin_with_a_space_of_their_own(tmp_path: Path) -> None:
    """Joined, all documents but the first would lose the token of their first word."""
    stories = ["Once there was a cat.", "Lily went home.", "Tom ran."]
    size = save(sentence_piece("\n".join([*stories, "Once Lily saw Tom."] * 40)), tmp_path)
    vocabulary = read_vocabulary(tmp_path / "tokenizer.json", size)
    config = replace(Shape("llama", size, 64, 1, 2, 1, 64, 48).config(), vocab_size=size)
    _, pruned, rows = pruned_to(config, vocabulary, stories)
    assert len(pruned.tokens) < size
    for story in stories:
        assert [rows[token] for token in Tokenizer(pruned).encode(story)] == Tokenizer(vocabulary).encode(story)


@pytest.mark.parametrize(("start", "told"), [
    ("[start]\ncontext_length = 49\n", "expected at most 48"),
    ("[start]\ndrop_layers = [2]\n", "expected some, but not all, of 0 to 1"),
    ('[start]\ndrop_layers = "1"\n', "expected a list of integers"),
])
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, parent: Path, start: str, told: str) -> None:
    places = child(tmp_path, parent, start)
    refused = invoke("train", places.description, places.folder, "--data", places.data, "--from", parent)
    assert refused.exit_code == 1
    assert told in refused.stderr


def test_random_weights_have_no_part_to_start_from(tmp_path: Path) -> None:
    places = make_places(tmp_path, description() + _START)
    refused = invoke("train", places.description, places.folder, "--data", places.data)
    assert "it reduces the model of --from" in refused.stderr
