"""A vocabulary as tokenizer.json of the package `tokenizers`, which gives the same ids."""

from __future__ import annotations

from tinypylm.format import PreTokenizer, Vocabulary
from tinypylm_tools.exporters.spelling import Spelled, Use, is_sentence_piece, spelled_tokens
from tinypylm_tools.importers.token_list import SPACE_MARK
from tinypylm_tools.json_fields import Json

_SENTENCE_PIECE: dict[str, Json] = {
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": SPACE_MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}]},
    "pre_tokenizer": None,
    "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
}


def tokenizer_json(vocabulary: Vocabulary, bos_id: int | None) -> dict[str, Json]:
    """The whole file as JSON. Raises ToolError for a vocabulary that it cannot spell."""
    tokens = spelled_tokens(vocabulary)
    steps = _SENTENCE_PIECE if is_sentence_piece(vocabulary) else _byte_level(vocabulary.pre_tokenizer)
    return {
        "version": "1.0", "truncation": None, "padding": None, **steps,
        "added_tokens": [_added(token, spelled.text) for token, spelled in enumerate(tokens)
                         if spelled.use is Use.SPECIAL],
        "post_processor": None if bos_id is None else _with_bos(bos_id, tokens[bos_id].text),
        "model": _model(vocabulary, tokens),
    }


def _byte_level(pre_tokenizer: PreTokenizer) -> dict[str, Json]:
    step: dict[str, Json] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                             "use_regex": pre_tokenizer is not PreTokenizer.NONE}
    digits: dict[str, Json] = {"type": "Digits", "individual_digits": True}
    both: dict[str, Json] = {"type": "Sequence", "pretokenizers": [digits, step]}
    return {
        "normalizer": None, "pre_tokenizer": both if pre_tokenizer is PreTokenizer.GPT2_SINGLE_DIGITS else step,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}}


def _model(vocabulary: Vocabulary, tokens: list[Spelled]) -> dict[str, Json]:
    fallback = is_sentence_piece(vocabulary)
    return {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": fallback, "byte_fallback": fallback, "ignore_merges": False,
        "vocab": {spelled.text: token for token, spelled in enumerate(tokens) if spelled.text},
        "merges": [[tokens[left].text, tokens[right].text] for left, right, _ in vocabulary.merge_rules()],
    }


def _added(token: int, text: str) -> dict[str, Json]:
    return {"id": token, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True}


def _with_bos(bos_id: int, text: str) -> dict[str, Json]:
    """What puts the begin token in front of every text."""
    bos: Json = {"SpecialToken": {"id": text, "type_id": 0}}
    return {
        "type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {text: {"id": text, "ids": [bos_id], "tokens": [text]}}}
