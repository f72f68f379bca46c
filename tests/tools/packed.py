"""Packing without a command line, and what a packed file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinypylm.config import DType, Role
from tinypylm.format import Model, parse
from tinypylm_tools import packing
from tinypylm_tools.choices import Choices
from tinypylm_tools.importers.detection import open_source
from tinypylm_tools.quantise import F32, decode


def plan(source: Path, dtype: DType, tokenizer: Path | None = None, **choices: Any) -> packing.Recipe:
    chosen = Choices(dtype, **choices)
    return packing.plan(open_source(source, tokenizer, chosen.waivers), chosen, {"name": "x"})


def pack(source: Path, dtype: DType, tokenizer: Path | None = None, **choices: Any) -> tuple[Model, bytes]:
    data = bytes(packing.pack(plan(source, dtype, tokenizer, **choices), lambda _: None).data)
    return parse(data), data


def pack_f32(source: Path, tokenizer: Path | None = None, **choices: Any) -> tuple[Model, bytes]:
    return pack(source, DType.F32, tokenizer, **choices)


def stored(model: Model, data: bytes, role: Role, layer: int | None = None) -> F32:
    """A tensor of the file, decoded."""
    tensor = model.tensor(role, layer)
    return decode(data[tensor.offset : tensor.offset + tensor.payload_bytes], tensor.dtype, tensor.shape)
