"""What `parse` makes of valid files, and that nothing but FormatError leaves it."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.format.costs import peak_memory, processor_seconds, verdict, written_again
from tests.format.micro_model import (
    CONFIG,
    NEOX,
    WIDE,
    edited,
    micro,
    quantised,
    u16,
    with_payload,
)
from tinypylm.config import DType, Family, ModelConfig, Role, expected_tensors
from tinypylm.errors import FormatError
from tinypylm.format import FormatCode, parse, parse_header
from tinypylm_tools.fixtures import payloads, three_merges
from tinypylm_tools.slm_writer import Payload, seal, stored_dtype

METADATA = {"name": "Micro", "chat": {"user_prefix": "Q: ", "user_suffix": "\n"}, "training": {"steps": 3}}


def test_the_micro_model_is_these_bytes() -> None:
    """Written from the format's tables by hand, not with the writer."""
    file = micro()
    table_to_payload = [108, 832, 0, 832, 0, 832, 3528]
    assert file[:104] == b"SLM1" + struct.pack(
        "<HH12I2f2I8I", 1, 108, 1, 0, 1, 259, 2, 1, 1, 1, 2, 1, 1, 2, 10000.0, 1e-5, 256, 257, 11, *table_to_payload)
    assert file[104:108] == struct.pack("<I", zlib.crc32(file[:104] + bytes(4) + file[108:]))
    embeddings = file[832 : 832 + 2072]
    assert file[108:172] == struct.pack(
        "<HBBIIIQQQI20x", 0, 0, 2, 0xFFFFFFFF, 259, 2, 518, 832, 2072, zlib.crc32(embeddings))
    w_down = file[-8:]
    assert file[748:812] == struct.pack("<HBBIIIQQQI20x", 36, 0, 2, 0, 2, 1, 2, 3520, 8, zlib.crc32(w_down))
    assert len(file) == 3528


def test_a_model_names_its_tensors_and_where_they_lie() -> None:
    model = parse(micro())
    assert model.config == replace(CONFIG, norm_epsilon=float(np.float32(1e-5)))
    assert [tensor.name for tensor in model.tensors[:3]] == ["tok_embeddings", "final_norm", "attn_norm of layer 0"]
    assert model.tensor(Role.WQ, 0).shape == (2, 2)
    assert (model.file_bytes, model.metadata) == (3528, {})
    with pytest.raises(KeyError):
        model.tensor(Role.OUTPUT)


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_parsed(convert: type) -> None:
    assert parse(convert(micro())) == parse(micro())


def test_a_view_of_wider_elements_is_read_as_bytes() -> None:
    file = micro()
    assert parse(memoryview(np.frombuffer(file, "<u4"))) == parse(file)


@pytest.mark.parametrize("config", [
    NEOX, replace(NEOX, tied_embeddings=True, rotary_dim=4), replace(CONFIG, n_layers=3),
    replace(CONFIG, bos_id=None, eos_id=None), replace(CONFIG, interleaved_rotary=True),
    replace(CONFIG, tied_embeddings=False),
])
def test_every_shape_of_model_that_the_header_allows_is_read(config: ModelConfig) -> None:
    model = parse(micro(config))
    assert model.config == replace(config, norm_epsilon=float(np.float32(1e-5)))
    assert [(t.role, t.layer, t.shape) for t in model.tensors] == [
        (s.role, s.layer, s.shape) for s in expected_tensors(config)]


def test_single_tensors_may_be_of_another_type_than_the_header_names() -> None:
    config = replace(WIDE, quantization=DType.Q4_0)
    mixed = payloads(config) | {
        (Role.WQ, 0): payloads(replace(WIDE, quantization=DType.Q8_0))[Role.WQ, 0],
        (Role.WK, 0): payloads(WIDE)[Role.WK, 0]}
    model = parse(seal(config, mixed, None, {}))
    assert [model.tensor(role, 0).dtype for role in (Role.WQ, Role.WK, Role.WV)] == [DType.Q8_0, DType.F32, DType.Q4_0]


@pytest.mark.parametrize(("dtype", "codes"), [(DType.Q8_0, b"\x80"), (DType.Q4_0, b"\x88")])
def test_codes_that_our_encoder_never_writes_are_allowed(dtype: DType, codes: bytes) -> None:
    parse(with_payload(quantised(dtype), 0, 0, codes * 16))


@pytest.mark.parametrize("bits", [0x0000, 0x0001, 0x7BFF])
def test_scales_from_zero_to_the_largest_f16_are_allowed(bits: int) -> None:
    parse(with_payload(quantised(DType.Q8_0), 0, -2, u16(bits)))


def test_the_largest_finite_weights_are_allowed() -> None:
    largest = np.finfo(np.float32).max
    parse(with_payload(micro(), 0, 0, struct.pack("<3f", largest, -largest, 1.7014118e38)))


def test_writing_what_was_read_gives_the_same_bytes() -> None:
    for config, vocabulary in ((CONFIG, None), (replace(CONFIG, vocab_size=262), three_merges()), (NEOX, None)):
        file = seal(config, payloads(config), vocabulary, METADATA)
        assert written_again(parse(file), file) == file


def test_truncation_at_every_length_is_refused() -> None:
    file = micro()
    for length in range(len(file)):
        with pytest.raises(FormatError):
            parse(memoryview(file)[:length])


def test_a_flipped_byte_under_a_right_checksum_never_crashes_the_parser() -> None:
    """All bytes of header, table, tokenizer and metadata; the deeper rules decide."""
    file = seal(replace(CONFIG, vocab_size=262), payloads(replace(CONFIG, vocab_size=262)), three_merges(), METADATA)
    for at in range(parse_header(file).payload_offset):
        verdict(edited(file, (at, bytes([file[at] ^ 0xFF]))))


@given(st.binary(max_size=300))
def test_bytes_of_no_origin_are_refused(data: bytes) -> None:
    for text in (data, b"SLM1\x01\x00\x6c\x00" + data):
        assert isinstance(verdict(text), FormatCode)


def test_a_file_of_30_mb_is_checked_within_a_second_and_without_a_copy() -> None:
    config = replace(CONFIG, hidden_size=512, n_heads=8, n_kv_heads=8, head_dim=64, rotary_dim=64, ffn_size=1408,
                     n_layers=2)
    noise = np.frombuffer(random.Random(0).randbytes(4 << 20), "<u4") & 0x3FFF_FFFF
    stored = {(spec.role, spec.layer): Payload(
        stored_dtype(spec.shape, DType.F32), np.resize(noise, spec.shape).astype("<u4").tobytes())
        for spec in expected_tensors(config)}
    file = seal(config, stored, None, {})
    assert len(file) > 25_000_000
    assert processor_seconds(lambda: parse(file)) < 1
    assert peak_memory(lambda: parse(file)) < 2_000_000


def test_the_families_of_the_format_are_the_families_of_the_configuration() -> None:
    assert {family.value for family in Family} == {1, 2}
