"""tokenizer.json of the `tokenizers` package to a vocabulary of the format, token for token, or a refusal by name.

Two kinds are understood: byte-level BPE (GPT-2 and its relatives) and SentencePiece-style BPE with byte fallback.
"""

from __future__ import annotations

import json
from pathlib import Path

from tinypylm.errors import ErrorCode, ToolError
from tinypylm.format import PreTokenizer, Vocabulary
from tinypylm_tools.importers.token_list import (
    SENTENCE_PIECE,
    SPACE_MARK,
    Scheme,
    byte_level,
    merges_of_pairs,
    token_list,
)
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waiver, Waivers, way_out
from tinypylm_tools.json_fields import Fields, Json, read_json


def read_vocabulary(path: Path, vocab_size: int, waivers: Waivers = NO_WAIVERS) -> Vocabulary:
    """The vocabulary in a tokenizer.json; ids without a token become special tokens. Raises ToolError."""
    fields = read_json(path, ErrorCode.UNSUPPORTED_TOKENIZER)
    model = fields.object("model")
    _check_model(model)
    scheme = _scheme(fields, model, waivers)
    ids = _ids(model, vocab_size)
    specials, unmade = _added_tokens(fields, vocab_size, waivers)
    listed = token_list(ids, specials, scheme, vocab_size, path.name, unmade)
    merges = merges_of_pairs((_pair(item) for item in model.items("merges")), ids, path.name)
    return Vocabulary(scheme.pre_tokenizer, listed.tokens, listed.kinds, merges)


def puts_in_front(path: Path, token: int) -> bool:
    """Whether the tokenizer of this file puts `token` in front of a text; True where the file does not say.

    tokenizer_config.json beside it decides where it has add_bos_token, as in transformers; else the post-processor.
    """
    beside = path.with_name("tokenizer_config.json")
    if beside.is_file():
        settings = read_json(beside, ErrorCode.UNSUPPORTED_TOKENIZER)
        if settings.get("add_bos_token") is not None:
            return settings.flag("add_bos_token")
    fields = read_json(path, ErrorCode.UNSUPPORTED_TOKENIZER)
    return fields.get("post_processor") is None or _processor_puts(fields.object("post_processor"), token)


def _processor_puts(processor: Fields, token: int) -> bool:
    match processor.get("type"):
        case "ByteLevel":
            return False
        case "Sequence":
            steps = [processor.nested(step, "processors") for step in processor.items("processors")]
            return any(_processor_puts(step, token) for step in steps)
        case "TemplateProcessing":
            return token in _front_tokens(processor)
    raise _unsupported(processor, "type", "ByteLevel or TemplateProcessing")


def _front_tokens(template: Fields) -> list[Json]:
    """The ids that stand in front of the text, of a template's `single`."""
    ids: list[Json] = []
    for item in template.items("single"):
        piece = template.nested(item, "single")
        if "Sequence" in piece.values:
            break
        name = piece.object("SpecialToken").text("id")
        ids += template.object("special_tokens").object(name).items("ids")
    return ids


def _check_model(model: Fields) -> None:
    if model.get("type") != "BPE":
        raise _unsupported(model, "type", "BPE")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(name):
            raise _unsupported(model, name, "none")


def _scheme(fields: Fields, model: Fields, waivers: Waivers) -> Scheme:
    if fields.get("pre_tokenizer") is None or model.flag("byte_fallback"):
        _check_sentence_piece(fields, model)
        return SENTENCE_PIECE
    _check_normalizer(fields, waivers)
    return byte_level(_byte_level(fields.object("pre_tokenizer")))


def _check_normalizer(fields: Fields, waivers: Waivers) -> None:
    """A byte-level tokenizer takes text as it is."""
    composing = fields.get("normalizer") == {"type": "NFC"}
    if fields.get("normalizer") is None or (composing and Waiver.NORMALIZER in waivers):
        return
    raise _unsupported(fields, "normalizer", "none beside a byte-level pre-tokenizer",
                       advice=way_out(Waiver.NORMALIZER) if composing else "")


def _byte_level(pre_tokenizer: Fields) -> PreTokenizer:
    """GPT2 for ByteLevel, NONE for one that does not cut, GPT2_SINGLE_DIGITS for Digits before ByteLevel."""
    if pre_tokenizer.get("type") != "Sequence":
        return _one_byte_level(pre_tokenizer)
    steps = [pre_tokenizer.nested(step, "pretokenizers") for step in pre_tokenizer.items("pretokenizers")]
    kinds = [step.get("type") for step in steps]
    if kinds not in (["ByteLevel"], ["Digits", "ByteLevel"]):
        raise pre_tokenizer.unusable("pretokenizers", [str(kind) for kind in kinds], "Digits, ByteLevel")
    cut = _one_byte_level(steps[-1])
    if len(steps) == 1:
        return cut
    if not steps[0].flag("individual_digits"):
        raise _unsupported(steps[0], "individual_digits", "true")
    if cut is not PreTokenizer.GPT2:
        raise _unsupported(steps[-1], "use_regex", "true behind Digits")
    return PreTokenizer.GPT2_SINGLE_DIGITS


def _one_byte_level(step: Fields) -> PreTokenizer:
    if step.get("type") != "ByteLevel":
        raise _unsupported(step, "type", "ByteLevel")
    if step.flag("add_prefix_space"):
        raise _unsupported(step, "add_prefix_space", "false")
    return PreTokenizer.GPT2 if step.get("use_regex") is None or step.flag("use_regex") else PreTokenizer.NONE


def _check_sentence_piece(fields: Fields, model: Fields) -> None:
    """Spaces become U+2581, with one in front always; characters without a token fall back to bytes.

    The Metaspace pre-tokenizer is another thing: it puts no space in front of a text that starts with one.
    """
    if not model.flag("byte_fallback"):
        raise _unsupported(model, "byte_fallback", "true without a byte-level pre-tokenizer")
    if fields.get("pre_tokenizer") is not None:
        raise _unsupported(fields, "pre_tokenizer", "none beside byte fallback")
    prepended = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": SPACE_MARK},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}]}
    if fields.get("normalizer") != prepended:
        raise _unsupported(fields, "normalizer", "Prepend and Replace of spaces")


def _ids(model: Fields, vocab_size: int) -> dict[str, int]:
    ids: dict[str, int] = {}
    for text, token in model.object("vocab").values.items():
        if not isinstance(token, int) or not 0 <= token < vocab_size:
            raise _unsupported(model, "vocab", f"ids below vocab_size = {vocab_size}", f"{text!r} with id {token}")
        ids[text] = token
    return ids


def _added_tokens(fields: Fields, vocab_size: int, waivers: Waivers) -> tuple[dict[int, str], dict[int, str]]:
    """Special ones and others. None is looked for in a text: a prompt that holds one is encoded as plain text."""
    specials: dict[int, str] = {}
    others: dict[int, str] = {}
    for item in fields.items("added_tokens"):
        added = fields.nested(item, "added_tokens")
        token, text = added.integer("id"), added.text("content")
        if not added.flag("special") and Waiver.ADDED_TOKENS not in waivers:
            raise _unsupported(fields, "added_tokens", "special tokens only", f"{text!r}, which is not special",
                               way_out(Waiver.ADDED_TOKENS))
        if not 0 <= token < vocab_size:
            raise _unsupported(fields, "added_tokens", f"ids below vocab_size = {vocab_size}", f"{text!r}, id {token}")
        (specials if added.flag("special") else others)[token] = text
    return specials, others


def _pair(item: Json) -> tuple[str, str]:
    """A merge is `["a", "b"]`, or `"a b"` in older files."""
    parts = item.split(" ") if isinstance(item, str) else item
    if isinstance(parts, list) and len(parts) == 2 and isinstance(parts[0], str) and isinstance(parts[1], str):
        return parts[0], parts[1]
    raise ToolError(ErrorCode.UNSUPPORTED_TOKENIZER, f"A merge in tokenizer.json is {json.dumps(item)}; expected two "
                    "tokens.")


def _unsupported(
    fields: Fields, feature: str, expected: str, found: str | None = None, advice: str = ""
) -> ToolError:
    shown = json.dumps(fields.get(feature)) if found is None else found
    return ToolError(
        ErrorCode.UNSUPPORTED_TOKENIZER, f"The tokenizer's {feature} is {shown:.160} ({fields.where}); supported: "
        f"{expected}. {advice or 'Use a byte-level BPE tokenizer, as GPT-2 has.'}", {"feature": feature})
