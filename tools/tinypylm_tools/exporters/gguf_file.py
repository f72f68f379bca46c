"""A model as a GGUF file of llama.cpp, in its own types: the same codes and scales in ggml's layout, bit for bit."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinypylm.config import DType, Family, ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.format import Tensor
from tinypylm.quant import BLOCK_ELEMENTS, code_bytes
from tinypylm_tools.exporters.gguf_tokenizer import GgufTokenizer, gguf_tokenizer
from tinypylm_tools.gguf_package import gguf_package
from tinypylm_tools.importers.gguf_model import GELU_TANH, INTERLEAVED, place
from tinypylm_tools.model_file import ModelFile
from tinypylm_tools.quantise import decode
from tinypylm_tools.rotary_rows import neighbour_rows
from tinypylm_tools.slm_writer import unwritable

if TYPE_CHECKING:
    from gguf import GGUFWriter

Rows = NDArray[np.uint8]
_TURNING = (Role.WQ, Role.WK, Role.BQ, Role.BK)
_ARCHITECTURES = {Family.LLAMA: "llama", Family.GPT_NEOX: "gptneox"}


def export_gguf(file: ModelFile, path: Path) -> None:
    """Writes the model of `file` to `path`, whole or not at all. Raises ToolError."""
    gguf = gguf_package("Writing a GGUF file")
    config = file.model.config
    keys = gguf_tokenizer(file.model.tokenizer)
    try:
        with _written_aside(path) as temporary:
            writer: GGUFWriter = gguf.GGUFWriter(temporary, _ARCHITECTURES[config.family])
            _put_model(writer, config)
            _put_tokenizer(writer, keys, config)
            for name, (kind, rows) in _tensors(file).items():
                writer.add_tensor(name, rows, raw_dtype=gguf.GGMLQuantizationType[kind.name])
            _write(writer)
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def _written_aside(path: Path) -> Iterator[Path]:
    """A new file beside `path`, which takes its place at the end; gone where something fails."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(writer: GGUFWriter) -> None:
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    except OSError:
        with suppress(OSError):  # what it still holds has no room either
            writer.close()
        raise
    writer.close()


def _put_model(writer: GGUFWriter, config: ModelConfig) -> None:
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.ffn_size)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_rope_dimension_count(config.rotary_dim)
    writer.add_rope_freq_base(config.rope_theta)
    if config.family is Family.LLAMA:
        writer.add_layer_norm_rms_eps(config.norm_epsilon)
        writer.add_bool(INTERLEAVED, config.interleaved_rotary)
    else:
        writer.add_layer_norm_eps(config.norm_epsilon)
        writer.add_parallel_residual(config.parallel_residual)
        writer.add_bool(GELU_TANH, config.gelu_tanh)


def _put_tokenizer(writer: GGUFWriter, keys: GgufTokenizer, config: ModelConfig) -> None:
    writer.add_tokenizer_model(keys.model)
    writer.add_tokenizer_pre(keys.pre)
    writer.add_token_list(keys.tokens)
    writer.add_token_types(keys.types)
    if keys.scores:
        writer.add_token_scores(keys.scores)
    if keys.merges:
        writer.add_token_merges(keys.merges)
    if config.bos_id is not None:
        writer.add_bos_token_id(config.bos_id)
    if config.eos_id is not None:
        writer.add_eos_token_id(config.eos_id)
    writer.add_add_bos_token(config.bos_id is not None)


def _tensors(file: ModelFile) -> dict[str, tuple[DType, NDArray[np.generic]]]:
    """By ggml's name: type, and values or rows of blocks. Parts of one tensor there of different types are f32."""
    config = file.model.config
    places = {spec: place(spec, config) for spec in expected_tensors(config)}
    kinds: dict[str, set[DType]] = {}
    for spec, where in places.items():
        kinds.setdefault(where.name, set()).add(file.model.tensor(spec.role, spec.layer).dtype)
    wholes: dict[str, Rows] = {}
    for spec, where in places.items():
        kind = _one_of(kinds[where.name])
        rows = _turned(_rows(file, file.model.tensor(spec.role, spec.layer), kind), spec, config)
        whole = wholes.setdefault(where.name, np.zeros((where.shape[0], rows.shape[1]), np.uint8))
        whole[slice(None) if where.rows is None else where.rows] = rows
    shapes = {where.name: where.shape for where in places.values()}
    return {name: (_one_of(kinds[name]), _typed(whole, _one_of(kinds[name]), shapes[name]))
            for name, whole in wholes.items()}


def _typed(rows: Rows, kind: DType, shape: tuple[int, ...]) -> NDArray[np.generic]:
    return rows.view("<f4").reshape(shape) if kind is DType.F32 else rows


def _one_of(kinds: set[DType]) -> DType:
    return next(iter(kinds)) if len(kinds) == 1 else DType.F32


def _rows(file: ModelFile, tensor: Tensor, kind: DType) -> Rows:
    """A row of bytes for each row of weights; quantised ones in blocks of an f16 scale and its codes."""
    payload = np.frombuffer(file.data, np.uint8, tensor.payload_bytes, tensor.offset)
    if kind is DType.F32:
        return decode(payload.tobytes(), tensor.dtype, tensor.shape).reshape(tensor.shape[0], -1).view(np.uint8)
    split = code_bytes(tensor.dtype, tensor.shape)
    scales = payload[split:].reshape(-1, 2)
    codes = payload[:split].reshape(len(scales), -1)
    blocks = np.concatenate([scales, codes if kind is DType.Q8_0 else _regrouped(codes)], axis=1)
    return blocks.reshape(tensor.shape[0], -1)


def _regrouped(codes: Rows) -> Rows:
    """Byte j holds elements j and j + 16, with 8 added, where ours holds 2 j and 2 j + 1 in two's complement."""
    elements = np.stack([codes & 0x0F, codes >> 4], axis=-1).reshape(-1, BLOCK_ELEMENTS) ^ np.uint8(8)
    return elements[:, :16] | elements[:, 16:] << np.uint8(4)


def _turned(rows: Rows, spec: TensorSpec, config: ModelConfig) -> Rows:
    """llama.cpp has no GPT-NeoX whose rotary pairs are neighbours; for a Llama that is what it wants."""
    if config.family is Family.LLAMA or not config.interleaved_rotary or spec.role not in _TURNING:
        return rows
    return rows[neighbour_rows(config.n_heads, config.head_dim, config.rotary_dim)]
