"""A checkpoint folder in Hugging Face layout: config.json, tokenizer.json, and safetensors in one file or in shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinypylm.errors import ErrorCode
from tinypylm_tools.importers import hugging_face_llama, hugging_face_neox
from tinypylm_tools.importers.named_tensors import open_named
from tinypylm_tools.importers.safetensors_file import stored_tensors, weight_files
from tinypylm_tools.importers.source import Source, digest_names
from tinypylm_tools.importers.tokenizer_file import read_tokenizer
from tinypylm_tools.importers.waiver import NO_WAIVERS, Waivers
from tinypylm_tools.json_fields import read_json

_FAMILIES = {
    "llama": (hugging_face_llama.read_config, hugging_face_llama.layout),
    "gpt_neox": (hugging_face_neox.read_config, hugging_face_neox.layout),
}


def open_folder(folder: Path, tokenizer: Path | None = None, waivers: Waivers = NO_WAIVERS) -> Source:
    """The checkpoint in `folder`; its own tokenizer, unless another file is given. Raises ToolError."""
    fields = read_json(folder / "config.json", ErrorCode.UNSUPPORTED_CHECKPOINT)
    kind = fields.get("model_type")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        raise fields.unusable("model_type", kind, " or ".join(f'"{name}"' for name in _FAMILIES),
                              "Only Llama and GPT-NeoX checkpoints can be packed.")
    read_config, read_layout = _FAMILIES[kind]
    config = read_config(fields)
    layout = read_layout(fields, config)
    tokenizer = tokenizer or folder / "tokenizer.json"
    vocabulary, bos_id = read_tokenizer(tokenizer, config, waivers)
    weights = weight_files(folder)
    count = "one safetensors file" if len(weights) == 1 else f"{len(weights)} safetensors files"
    return Source(
        f"a Hugging Face folder with a {kind} model in {count}", replace(config, bos_id=bos_id), vocabulary,
        digest_names(folder / "config.json", tokenizer, *weights),
        lambda: open_named(stored_tensors(folder), layout, config, weights[0].name))
