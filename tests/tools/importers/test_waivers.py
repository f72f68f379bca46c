"""A tokenizer as Pythia's: composed text and runs of spaces are features that a user may do without, knowingly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, normalizers
from tokenizers import Tokenizer as Oracle

from tests.tokenizer.hugging_face import byte_level, edit, save
from tests.tools.importers.neox_folder import make_neox
from tests.tools.packed import pack_f32
from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import TokenKind
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.importers.waiver import Waiver, read_waivers

TEXT = Path(__file__).parents[2].joinpath("data", "languages.txt").read_text(encoding="utf-8")
BOTH = frozenset(Waiver)


def pythia_like() -> Oracle:
    oracle = byte_level(TEXT, vocab_size=290)
    oracle.normalizer = normalizers.NFC()
    oracle.add_tokens([AddedToken(" " * count, normalized=True) for count in (8, 4)])
    return oracle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    size = save(pythia_like(), make_neox(tmp_path))
    assert size == 292
    return tmp_path


def test_each_feature_is_refused_with_the_way_out(folder: Path) -> None:
    with pytest.raises(ToolError, match=r'normalizer is \{"type": "NFC"\}.*--without normalizer') as refused:
        pack_f32(folder)
    assert refused.value.code is ErrorCode.UNSUPPORTED_TOKENIZER
    with pytest.raises(ToolError, match=r"which is not special.*--without added_tokens"):
        pack_f32(folder, waivers=frozenset({Waiver.NORMALIZER}))


def test_ids_are_the_originals_where_the_features_do_not_matter(folder: Path) -> None:
    ours, theirs = Tokenizer.of(pack_f32(folder, waivers=BOTH)[0]), pythia_like()
    for line in TEXT.split("\n"):
        if "    " not in line and normalizers.NFC().normalize_str(line) == line:
            assert ours.encode(line, bos=False) == theirs.encode(line).ids, line


def test_a_text_that_has_them_is_encoded_by_its_letters(folder: Path) -> None:
    ours = Tokenizer.of(pack_f32(folder, waivers=BOTH)[0])
    for text in ("e\u0301", "a        b    c"):
        assert ours.decode(ours.encode(text)) == text.encode()
        assert not {290, 291} & set(ours.encode(text))


def test_a_model_may_still_produce_the_tokens(folder: Path) -> None:
    model, _ = pack_f32(folder, waivers=BOTH)
    assert Tokenizer.of(model).decode([290, 291]) == b" " * 12
    assert model.tokenizer.kinds[290] == TokenKind.NORMAL
    assert model.metadata["packing"] == {"without": "added_tokens,normalizer"}


def test_an_added_token_that_spells_another_one_is_special(folder: Path) -> None:
    oracle = pythia_like()
    texts = (oracle.decode([token]) for token in range(258, 290))
    spelled = next(text for text in texts if "\ufffd" not in text and text not in oracle.get_vocab())
    oracle.add_tokens([AddedToken(spelled)])
    save(oracle, folder)
    vocabulary = pack_f32(folder, waivers=BOTH)[0].tokenizer
    known = [vocabulary.kinds[token] for token, text in enumerate(vocabulary.tokens) if text == spelled.encode()]
    assert known == [TokenKind.NORMAL, TokenKind.SPECIAL]


@pytest.mark.parametrize("normalizer", [
    {"type": "Lowercase"}, {"type": "NFKC"}, {"type": "Sequence", "normalizers": []}])
def test_anything_that_changes_more_is_refused_whatever_was_said(folder: Path, normalizer: dict[str, Any]) -> None:
    edit(folder, {"normalizer": normalizer})
    with pytest.raises(ToolError, match="tokenizer's normalizer"):
        pack_f32(folder, waivers=BOTH)


def test_features_are_names_with_commas() -> None:
    assert read_waivers("normalizer, added_tokens") == BOTH
    with pytest.raises(ToolError, match="expected some of normalizer, added_tokens") as refused:
        read_waivers("normaliser")
    assert refused.value.code is ErrorCode.UNUSABLE_CHOICE


def test_gguf_has_the_same_way_out(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    from tests.tools.importers import gguf_files, neox_folder

    make_neox(tmp_path)
    keys = gguf_files.byte_level_keys(byte_level(TEXT, vocab_size=290), "olmo")
    keys["tokens"], keys["token_type"] = [*keys["tokens"], " " * 8], [*keys["token_type"], 4]
    path = gguf_files.write_neox(tmp_path, neox_folder.CONFIG, keys)
    with pytest.raises(ToolError, match="--without added_tokens"):
        pack_f32(path)
    model, _ = pack_f32(path, waivers=BOTH)
    assert Tokenizer.of(model).decode([290]) == b" " * 8
