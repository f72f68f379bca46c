"""A tokenizer that stands in a file of its own: tokenizer.json, or llama2.c's tokenizer.bin."""

from __future__ import annotations

from pathlib import Path

from tinypylm.config import ModelConfig
from tinypylm.format import Vocabulary
from tinypylm_tools.importers import llama2c_tokenizer, tokenizer_json
from tinypylm_tools.importers.waiver import Waivers


def read_tokenizer(path: Path, config: ModelConfig, waivers: Waivers) -> tuple[Vocabulary, int | None]:
    """The vocabulary, and the id that the original puts in front of every text. Raises ToolError."""
    if path.suffix == ".bin":
        return llama2c_tokenizer.read_vocabulary(path, config.vocab_size), config.bos_id
    vocabulary = tokenizer_json.read_vocabulary(path, config.vocab_size, waivers)
    bos_id = config.bos_id
    if bos_id is not None and not tokenizer_json.puts_in_front(path, bos_id):
        bos_id = None
    return vocabulary, bos_id
