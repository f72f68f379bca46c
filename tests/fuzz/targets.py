"""What a fuzzer runs. Each target takes any bytes, and raises where a promise of the format is broken."""

from __future__ import annotations

import json
import struct

import rfc8785

from tests.adapters.broken_packages import BASE
from tests.format.costs import verdict, written_again
from tests.format.mutations import reseal_deeply
from tinypylm.adapters import check_base
from tinypylm.adapters import package as adapter_package
from tinypylm.canonical import JsonValue, check, dumps, loads
from tinypylm.errors import AdapterError, CanonicalError, FormatError
from tinypylm.format import HEADER_BYTES, Model, parse
from tinypylm.format.metadata import parse_metadata
from tinypylm.format.vocabulary import SECTION_HEADER, parse_vocabulary
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.adapters.changes import changes
from tinypylm_tools.adapters.materialise import materialise
from tinypylm_tools.adapters.writer import assemble, facts, reseal
from tinypylm_tools.slm_writer import encode_vocabulary

TEXT = b"the th\xc3\xa9 \xff\xf0\x9f\x98\x80 12  he\n"


def model(data: bytes) -> None:
    """A file is refused with a FormatError, or is what the writer writes. Its checksums are put right before."""
    file = bytearray(data)
    if len(file) >= HEADER_BYTES:
        reseal_deeply(file)
    found = verdict(bytes(file))
    if isinstance(found, Model):
        assert written_again(found, bytes(file)) == file
        Tokenizer.of(found)


def vocabulary(data: bytes) -> None:
    """A tokenizer section is refused, or is what the writer writes, and its tokenizer gives a text back."""
    # The count of the section itself, or every second input would end at the comparison with the header's.
    count = struct.unpack_from("<I", data, 8)[0] if len(data) >= SECTION_HEADER.size else 0
    try:
        found = parse_vocabulary(memoryview(data), count)
    except FormatError:
        return
    assert encode_vocabulary(found) == data
    tokenizer = Tokenizer(found)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def canonical(data: bytes) -> None:
    """A text is read exactly where it is what an independent writer makes of what an independent reader reads."""
    try:
        value = loads(data)
    except CanonicalError:
        assert not _written_by_rfc8785(data)
    else:
        check(data)
        assert (dumps(value), value, _written_by_rfc8785(data)) == (data, json.loads(data), True)


def metadata(data: bytes) -> None:
    """A metadata section is refused, or is a closed set of keys in canonical JSON."""
    try:
        found = parse_metadata(memoryview(data))
    except FormatError:
        return
    assert (dumps(found) if data else b"") == data


def adapter(data: bytes) -> None:
    """A package is refused with an AdapterError, or is what the writer writes; its size and checksum are put right."""
    package = bytearray(data)
    if len(package) >= adapter_package.HEADER_BYTES:
        package[8:12] = len(package).to_bytes(4, "little")
        reseal(package)
    try:
        found = adapter_package.parse_package(package)
    except AdapterError:
        return
    assert assemble(found.base, found.format, changes(found), found.scale, found.keep_ppm) == package
    try:
        check_base(found, BASE.model, facts(BASE))
        file = parse(materialise(BASE, [(found, None)], []))
    except AdapterError:
        return
    assert file.config == BASE.model.config


TARGETS = {target.__name__: target for target in (model, vocabulary, canonical, metadata, adapter)}


def _written_by_rfc8785(text: bytes) -> bool:
    try:
        value: JsonValue = json.loads(text)
        dumps(value)  # the profile allows less than the standard
        return rfc8785.dumps(value) == text
    except (ValueError, RecursionError, CanonicalError):
        return False
